import { checkpoint } from '../autodiff/checkpoint.js'
import { conv2d } from '../nn/conv.js'
import type { Dropout } from '../nn/dropout.js'
import { zeros } from '../nn/initialisers.js'
import { groupNorm } from '../nn/norm.js'
import { silu } from '../tensor/activation.js'
import type { Scope } from '../tensor/program.js'
import { concat } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import { attentionBlock } from './attention-block.js'
import { atLevel, type UnetConfig } from './config.js'
import { conditionEmbedding } from './embedding.js'
import { convDownsample, convUpsample, downsample, upsample } from './resample.js'
import { type ResidualOptions, residualBlock } from './residual.js'
import { spatialTransformer, type TransformerOptions } from './transformer.js'

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
export function unet(at: Scope, config: UnetConfig, { x, t, context, y, dropout }: UnetInputs): Tensor {
  checkInput(config, x)
  const levels = config.channel_mult.length
  const emb = conditionEmbedding(at, config, { t, context, y })

  const run = <Given extends readonly Tensor[]>(block: (...given: Given) => Tensor, ...given: Given): Tensor =>
    (config.use_checkpoint ? checkpoint(block) : block)(...given)

  const residual = (scope: Scope, h: Tensor, options: Pick<ResidualOptions, 'out' | 'resize'> = {}): Tensor => {
    const all = {
      ...options,
      scaleShift: config.use_scale_shift_norm,
      dropout: config.dropout > 0 ? dropout : undefined,
    }
    return run((h, emb) => residualBlock(scope, h, emb, all), h, emb)
  }

  const attend = (scope: Scope, h: Tensor, level: number, part: Part): Tensor => {
    const channels = h.shape[1]!
    if (!config.use_spatial_transformer) {
      const options = { heads: plainHeads(config, channels, part), newOrder: config.use_new_attention_order }
      return run(h => attentionBlock(scope, h, options), h)
    }
    const options = transformerOptions(config, channels, level, part)
    if (context === undefined) return run(h => spatialTransformer(scope, h, undefined, options), h)
    return run((h, context) => spatialTransformer(scope, h, context, options), h, context)
  }
  const attends = (level: number, i: number): boolean =>
    config.attention_resolutions.includes(2 ** level) && i < (config.num_attention_blocks?.[level] ?? Infinity)

  const input = (i: number) => at(`input_blocks.${i}`)
  let h = input(0).mark(conv2d(input(0)('0'), x, { out: config.model_channels, kernel: 3 }))
  const skips = [h]
  for (const [level, mult] of config.channel_mult.entries()) {
    for (let i = 0; i < atLevel(config.num_res_blocks, level); i++) {
      const block = input(skips.length)
      h = residual(block('0'), h, { out: mult * config.model_channels })
      if (attends(level, i)) h = attend(block('1'), h, level, 'input')
      skips.push(block.mark(h))
    }
    if (level === levels - 1) continue
    const block = input(skips.length)
    h = config.resblock_updown
      ? residual(block('0'), h, { resize: 'down' })
      : config.conv_resample
        ? convDownsample(block('0'), h)
        : downsample(h)
    skips.push(block.mark(h))
  }

  const middle = at('middle_block')
  h = residual(middle('0'), h)
  if (!config.disable_middle_transformer) h = attend(middle('1'), h, levels - 1, 'middle')
  h = middle.mark(residual(middle('2'), h))

  let index = 0
  for (let level = levels - 1; level >= 0; level--) {
    const blocks = atLevel(config.num_res_blocks, level) + 1
    for (let i = 0; i < blocks; i++) {
      const block = at(`output_blocks.${index++}`)
      let layer = 0
      const next = () => block(String(layer++))
      const out = config.channel_mult[level]! * config.model_channels
      h = residual(next(), concat([h, skips.pop()!], { axis: 1 }), { out })
      if (attends(level, i)) h = attend(next(), h, level, 'output')
      if (level > 0 && i === blocks - 1) {
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

type Part = 'input' | 'middle' | 'output'

/**
 * Heads of a plain attention block. num_heads_upsample counts only where neither num_head_channels nor the later rule
 * (legacy: false, which derives the channels of a head from num_heads) settles it. Source: openaimodel.py:541-549, 640-668.
 */
function plainHeads(config: UnetConfig, channels: number, part: Part): number {
  const { num_heads, num_head_channels, num_heads_upsample, legacy } = config
  if (num_head_channels !== -1) return channels / num_head_channels
  if (legacy && part === 'output' && num_heads_upsample !== -1) return num_heads_upsample
  return num_heads
}

/** Heads and the like of a transformer; the later rule (legacy: false) takes num_head_channels as it is. Source: openaimodel.py:541-549. */
function transformerOptions(config: UnetConfig, channels: number, level: number, part: Part): TransformerOptions {
  const { num_heads, num_head_channels, legacy } = config
  const heads = num_head_channels === -1 ? num_heads : Math.floor(channels / num_head_channels)
  const disabled = part === 'middle' ? config.disable_middle_self_attn : config.disable_self_attentions?.[level]
  return {
    heads,
    headChannels: num_head_channels === -1 || legacy ? Math.floor(channels / heads) : num_head_channels,
    depth: atLevel(config.transformer_depth, level),
    contextDim: contextWidth(config),
    disableSelfAttention: disabled ?? false,
    linearProjections: config.use_linear_in_transformer,
  }
}

/** Width of the context tokens that a configuration wants; undefined where it takes none. */
export const contextWidth = ({ context_dim }: UnetConfig): number | undefined =>
  (Array.isArray(context_dim) ? context_dim[0] : context_dim) ?? undefined

function checkInput(config: UnetConfig, x: Tensor): void {
  const [, channels, height, width] = x.shape
  const factor = 2 ** (config.channel_mult.length - 1)
  if (x.shape.length !== 4 || channels !== config.in_channels) {
    throw new RangeError(
      `unet: x has shape [${x.shape.join(', ')}], wanted [batch, ${config.in_channels}, height, width]`,
    )
  }
  if (height! % factor !== 0 || width! % factor !== 0) {
    throw new RangeError(
      `unet: ${height}x${width} latents do not halve ${config.channel_mult.length - 1} times: use multiples of ${factor}`,
    )
  }
}
