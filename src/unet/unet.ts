import { conv2d } from '../nn/conv.js'
import type { Dropout } from '../nn/dropout.js'
import { zeros } from '../nn/initialisers.js'
import { groupNorm } from '../nn/norm.js'
import { silu } from '../tensor/activation.js'
import { add } from '../tensor/binary.js'
import type { Scope } from '../tensor/program.js'
import { concat } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import { changed, type UnetChange } from './changes.js'
import { atLevel, type UnetConfig } from './config.js'
import { conditionEmbedding } from './embedding.js'
import { blocksOf, encoderHalf } from './encoder.js'
import { convUpsample, upsample } from './resample.js'

export { contextWidth } from './config.js'

export interface UnetInputs {
  /** Noisy latents, with what is concatenated to them: [batch, in_channels, h, w]; h and w a multiple of 2^(levels - 1). */
  x: Tensor
  /** Timesteps [batch], whole or fractional. */
  t: Tensor
  /** Tokens [batch, tokens, context_dim]. */
  context?: Tensor | undefined
  /** What num_classes says: labels [batch], numbers [batch, 1], vectors [batch, adm_in_channels] or times [batch]. */
  y?: Tensor | undefined
  /** In training: called where the original drops activations, if the config's dropout is above 0. */
  dropout?: Dropout | undefined
  /** Added to the output of each input block on its way to the other half and, the last, to the middle's: what `controlNet` gives. */
  control?: readonly Tensor[] | undefined
  /** What is put around its parts. */
  changes?: readonly UnetChange[] | undefined
}

/**
 * The denoising network: predicts from noisy latents [batch, in_channels, h, w] and times, in the parameterisation that
 * it was trained in, [batch, out_channels, h, w] (logits of n_embed codes if that is set). Marks the outputs of
 * `time_embed` and of every block. Source: openaimodel.py, UNetModel.
 *
 * @example
 * const config = unetConfig.parse({ in_channels: 4, out_channels: 4, model_channels: 64, num_res_blocks: 1,
 *   attention_resolutions: [2], channel_mult: [1, 2], num_heads: 4 })
 * trace({ x: f32(1, 4, 16, 16), t: i64(1) }, (at, { x, t }) => unet(at, config, { x, t }))
 */
export function unet(at: Scope, config: UnetConfig, inputs: UnetInputs): Tensor {
  const { x, t, context, y, dropout, control, changes = [] } = inputs
  const levels = config.channel_mult.length
  const emb = conditionEmbedding(at, config, { t, context, y })
  const blocks = blocksOf(config, { emb, context, dropout, changes })
  const { residual, attend, attends } = blocks
  const { skips, middle } = encoderHalf(at, config, x, blocks, { changes })
  const controlled = (h: Tensor, i: number) => (control === undefined ? h : add(h, control[i]!))
  const skip = () => controlled(skips.pop()!, skips.length)

  let h = controlled(middle, skips.length)
  let index = 0
  for (let level = levels - 1; level >= 0; level--) {
    const count = atLevel(config.num_res_blocks, level) + 1
    for (let i = 0; i < count; i++) {
      const place = { part: 'output', block: index, level } as const
      const block = at(`output_blocks.${index++}`)
      let layer = 0
      const next = () => block(String(layer++))
      const out = config.channel_mult[level]! * config.model_channels
      const join = changed(changes, 'join', place, (h, skip) => [h, skip])
      h = residual(next(), concat(join(h, skip()), { axis: 1 }), { out })
      if (attends(level, i)) h = attend(next(), h, place)
      if (level > 0 && i === count - 1) {
        h = config.resblock_updown
          ? residual(next(), h, { resize: 'up' })
          : config.conv_resample
            ? convUpsample(next(), h)
            : upsample(h)
      }
      block.mark(h)
    }
  }

  if (config.n_embed != null) {
    return conv2d(at('id_predictor.1'), groupNorm(at('id_predictor.0'), h), { out: config.n_embed, kernel: 1 })
  }
  return conv2d(at('out.2'), silu(groupNorm(at('out.0'), h)), { out: config.out_channels, kernel: 3, init: zeros })
}
