import { z } from 'zod'
import type { Scope } from '../tensor/program.js'
import type { Tensor } from '../tensor/tensor.js'
import { clipText, clipTextConfig, clipTextProjection, finalNorm } from './encoder-clip.js'
import { openClipEmbedding, openClipNorm, openClipText, openClipTextConfig } from './encoder-openclip.js'

const count = z.int().positive()
const words = {
  layer: z
    .union([z.enum(['last', 'penultimate']), count])
    .default('last')
    .describe(
      'whose output the context is: last as Stable Diffusion 1, penultimate as 2 and XL, or counted from the end, 1 being the last',
    ),
  normalised: z
    .boolean()
    .default(true)
    .describe(
      'the context goes through the final normalisation, whichever layer it is of; false in Stable Diffusion XL',
    ),
  pooled: z.boolean().default(false).describe('the text as one vector is told to the UNet as well'),
  padding: z
    .enum(['end', 'zero'])
    .default('end')
    .describe('what fills up short texts: the end of text (CLIP in Stable Diffusion) or 0 (OpenCLIP)'),
}

/** A tower in the words of Hugging Face's CLIPTextConfig, which are CLIP's own in Stable Diffusion. */
export const huggingFaceTower = z.strictObject({
  ...clipTextConfig.shape,
  projection_dim: count.optional().describe('width of the pooled text, projected; not projected if left out'),
  ...words,
})
/** A tower in the words of openai/CLIP's constructor, which are OpenCLIP's. */
export const openClipTower = z.strictObject({ ...openClipTextConfig.shape, ...words })

/** A text encoder of a diffusion model and what is taken from it. */
export const clipTowerConfig = z.union([huggingFaceTower, openClipTower]).superRefine(checkLayer)

export type ClipTower = z.output<typeof huggingFaceTower> | z.output<typeof openClipTower>

/** Tells where a tower has no such layer as is asked for. */
export function checkLayer(tower: ClipTower, { addIssue }: Pick<z.core.$RefinementCtx, 'addIssue'>): void {
  const layers = towerLayers(tower)
  if (layersFromEnd(tower) > layers)
    addIssue({
      code: 'custom',
      path: ['layer'],
      message: `there are ${layers} layers: take one of them, 1 to ${layers}`,
    })
}

const isOpenClip = (tower: ClipTower): tower is z.output<typeof openClipTower> => 'width' in tower

/** Layers of its transformer. */
export const towerLayers = (tower: ClipTower): number => (isOpenClip(tower) ? tower.layers : tower.num_hidden_layers)

/** Which layer is taken, counted from the end: 1 is the last. */
export const layersFromEnd = ({ layer }: Pick<ClipTower, 'layer'>): number =>
  layer === 'last' ? 1 : layer === 'penultimate' ? 2 : layer

/** Longest text, in tokens with start and end. */
export const towerLength = (tower: ClipTower): number =>
  isOpenClip(tower) ? tower.context_length : tower.max_position_embeddings

/** Width of the context. */
export const towerWidth = (tower: ClipTower): number => (isOpenClip(tower) ? tower.width : tower.hidden_size)

/** Width of the pooled text; 0 where it is not told. */
export const pooledWidth = (tower: ClipTower): number => {
  if (!tower.pooled) return 0
  return isOpenClip(tower) ? tower.embed_dim : (tower.projection_dim ?? tower.hidden_size)
}

/** What a text becomes: `context` [batch, length, width], and one vector [batch, pooledWidth] where it is told. */
export interface EncodedText {
  readonly context: Tensor
  readonly pooled?: Tensor
}

/**
 * Encodes token ids i64 [batch, length] by the names of Stable Diffusion's checkpoints, below `transformer` and `model`.
 * Layers whose output nothing takes are left out: some checkpoints lack them.
 *
 * Sources: stable-diffusion, FrozenCLIPEmbedder; stablediffusion, FrozenOpenCLIPEmbedder; generative-models,
 * encoders/modules.py, FrozenCLIPEmbedder and FrozenOpenCLIPEmbedder2.
 */
export function clipTower(root: Scope, tower: ClipTower, tokens: Tensor): EncodedText {
  const fromEnd = layersFromEnd(tower)
  // The pooled text comes from the last layer, whichever the context is of.
  const layers = towerLayers(tower) - (tower.pooled ? 0 : fromEnd - 1)
  const index = tower.pooled ? -fromEnd : -1
  if (isOpenClip(tower)) {
    const at = root('model')
    const { hidden, last } = openClipText(at, { ...tower, layers }, tokens)
    const state = hidden.at(index)!
    return {
      context: tower.normalised ? openClipNorm(at, state) : state,
      ...(tower.pooled && { pooled: openClipEmbedding(at, tower, last, tokens) }),
    }
  }
  const at = root('transformer')
  const { hidden, pooled } = clipText(at, { ...tower, num_hidden_layers: layers }, tokens)
  const state = hidden.at(index)!
  const { projection_dim } = tower
  return {
    context: tower.normalised ? finalNorm(at, tower, state) : state,
    ...(tower.pooled && { pooled: projection_dim ? clipTextProjection(at, pooled, projection_dim) : pooled }),
  }
}
