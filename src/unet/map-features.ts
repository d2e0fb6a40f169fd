import { add } from '../tensor/binary.js'
import type { Tensor } from '../tensor/tensor.js'
import type { UnetChange } from './changes.js'
import { atLevel, type UnetConfig } from './config.js'

/**
 * Features [batch, c, h, w], one map a level, added to the output of the level's last residual block on the way down,
 * which goes on from there. Source: T2I-Adapter, ldm/modules/diffusionmodules/openaimodel.py, UNetModel.forward.
 */
export function mapFeatures(config: UnetConfig, features: readonly Tensor[]): UnetChange {
  let block = 0
  const ends = config.channel_mult.map((_, level) => {
    const end = block + atLevel(config.num_res_blocks, level)
    block = end + 1
    return end
  })
  return {
    input: (plain, { block }) => {
      const feature = features[ends.indexOf(block)]
      return feature && (h => add(plain(h), feature))
    },
  }
}
