import type { Tensor } from '../tensor/tensor.js'
import type { UnetChange } from './changes.js'
import { atLevel, type UnetConfig } from './config.js'

const outputBlocks = (config: UnetConfig): number =>
  config.channel_mult.reduce((sum, _, level) => sum + atLevel(config.num_res_blocks, level) + 1, 0)

/** Most blocks at either end that can be computed alone: one at least is left to be reused. */
export const mostOuterBlocks = (config: UnetConfig): number => outputBlocks(config) - 1

/** The block of the way up whose output the last `outer` blocks start from: the mark under which `unet` leaves it. */
export const deepestReused = (config: UnetConfig, outer: number): string =>
  `output_blocks.${outputBlocks(config) - outer - 1}`

/**
 * The last `outer` blocks of the way up start from features of an earlier step, so that nothing below them is computed:
 * neighbouring steps differ least there (Ma et al. 2024, DeepCache, section 3.3).
 */
export const withDeep = (config: UnetConfig, outer: number, deep: Tensor): UnetChange => ({
  join: (plain, { block }) => (block === outputBlocks(config) - outer ? (_, skip) => plain(deep, skip) : undefined),
})
