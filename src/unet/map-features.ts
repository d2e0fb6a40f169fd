import { add } from '../tensor/binary.js'
import type { Tensor } from '../tensor/tensor.js'
import type { UnetChange } from './changes.js'
import { atLevel, type UnetConfig } from './config.js'

/**
 * Features [batch, c, h, w], one map a level, added to the output of the level's last residual block on the way down,
 * which goes on from there. One map more than levels are Stable Diffusion XL's: the first is added where its level has
 * been halved, the last in the middle. Source: T2I-Adapter, ldm/modules/diffusionmodules/openaimodel.py,
 * UNetModel.forward; diffusers, unets/unet_2d_condition.py, down_intrablock_additional_residuals.
 */
export function mapFeatures(config: UnetConfig, features: readonly Tensor[]): UnetChange {
  let block = 0
  const ends = config.channel_mult.map((_, level) => {
    const end = block + atLevel(config.num_res_blocks, level)
    block = end + 1
    return end
  })
  const xl = features.length === ends.length + 1
  if (xl) ends[0]!++
  const last = features.at(-1)!
  return {
    input: (plain, { block }) => {
      const feature = features[ends.indexOf(block)]
      return feature && (h => add(plain(h), feature))
    },
    middle: plain => (xl ? h => add(plain(h), last) : undefined),
  }
}
