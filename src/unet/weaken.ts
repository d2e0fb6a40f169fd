import { reshape } from '../tensor/reshape.js'
import type { Tensor } from '../tensor/tensor.js'
import { where } from '../tensor/where.js'
import type { UnetChange, UnetPlace } from './changes.js'

/** Chooses places in a network. */
export type Places = (place: UnetPlace) => boolean

/** One truth value a sample over a tensor of any rank. */
const perSample = (chosen: Tensor, x: Tensor): Tensor =>
  reshape(chosen, [chosen.shape[0]!, ...x.shape.slice(1).map(() => 1)])

/**
 * Perturbed attention (Ahn et al. 2024, eq. 11): where samples are chosen, positions see only themselves. `chosen`
 * [batch] is bool.
 */
export const blindAttention = (chosen: Tensor, at: Places): UnetChange => ({
  attendSelf: (plain, place) => (at(place) ? (q, k, v) => where(perSample(chosen, v), v, plain(q, k, v)) : undefined),
})

/**
 * Layers left out: where samples are chosen, blocks of attention hand on what they get. `chosen` [batch] is bool.
 * Source: diffusers, hooks/layer_skip.py, of whole transformer blocks.
 */
export const skippedLayers = (chosen: Tensor, at: Places): UnetChange => ({
  layer: (plain, place) => (at(place) ? x => where(perSample(chosen, x), x, plain(x)) : undefined),
})

const part = { input: 'input_blocks', middle: 'middle_block', output: 'output_blocks' } as const

/** A block's name in checkpoints: `input_blocks.4`, `middle_block`. */
export const blockName = (place: Pick<UnetPlace, 'part' | 'block'>): string =>
  place.part === 'middle' ? part.middle : `${part[place.part]}.${place.block}`
