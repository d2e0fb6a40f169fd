import { checkpoint } from '../autodiff/checkpoint.js'
import { conv2d } from '../nn/conv.js'
import type { Dropout } from '../nn/dropout.js'
import { attention } from '../tensor/attention.js'
import { add } from '../tensor/binary.js'
import type { Scope } from '../tensor/program.js'
import type { Tensor } from '../tensor/tensor.js'
import { attentionBlock } from './attention-block.js'
import { changed, type Part, type UnetChange, type UnetPlace } from './changes.js'
import { atLevel, contextWidth, type UnetConfig } from './config.js'
import { convDownsample, downsample } from './resample.js'
import { type ResidualOptions, residualBlock } from './residual.js'
import { spatialTransformer, type TransformerOptions } from './transformer.js'

/** What every block of a network gets beside its input. */
export interface BlockInputs {
  /** Of time and conditions, [batch, 4 * model_channels]. */
  emb: Tensor
  context?: Tensor | undefined
  dropout?: Dropout | undefined
  changes?: readonly UnetChange[] | undefined
}

/** The blocks that a network is made of, as its configuration has them. */
export interface Blocks {
  residual(at: Scope, h: Tensor, options?: Pick<ResidualOptions, 'out' | 'resize'>): Tensor
  attend(at: Scope, h: Tensor, place: UnetPlace): Tensor
  /** Whether the i-th residual block of a level is followed by attention. */
  attends(level: number, i: number): boolean
}

export function blocksOf(config: UnetConfig, { emb, context, dropout, changes = [] }: BlockInputs): Blocks {
  const run = <Given extends readonly Tensor[]>(block: (...given: Given) => Tensor, ...given: Given): Tensor =>
    // A change reaches for tensors from outside the block, which a block that is computed again may not.
    (config.use_checkpoint && changes.length === 0 ? checkpoint(block) : block)(...given)
  return {
    residual(at, h, options = {}) {
      const all = {
        ...options,
        scaleShift: config.use_scale_shift_norm,
        dropout: config.dropout > 0 ? dropout : undefined,
      }
      return run((h, emb) => residualBlock(at, h, emb, all), h, emb)
    },
    attend(at, h, where) {
      const channels = h.shape[1]!
      if (!config.use_spatial_transformer) {
        const place = { ...where, path: at.path, size: [h.shape[2]!, h.shape[3]!] as const }
        const options = {
          heads: plainHeads(config, channels, where.part),
          newOrder: config.use_new_attention_order,
          attend: changed(changes, 'attendSelf', place, attention),
        }
        return run(
          changed(changes, 'layer', place, h => attentionBlock(at, h, options)),
          h,
        )
      }
      const options = { ...transformerOptions(config, channels, where), changes }
      if (context === undefined) return run(h => spatialTransformer(at, h, undefined, options), h)
      return run((h, context) => spatialTransformer(at, h, context, options), h, context)
    },
    attends: (level, i) =>
      config.attention_resolutions.includes(2 ** level) &&
      i < (config.num_attention_blocks?.[level] ?? Infinity) &&
      hasAttention(config, { part: 'input', level }),
  }
}

/**
 * The way down and the middle: the output of every input block, to be skipped to, and the middle's. A ControlNet's
 * `hint` is added to the first. Source: openaimodel.py, UNetModel, and ControlNet, cldm/cldm.py.
 */
export function encoderHalf(
  at: Scope,
  config: UnetConfig,
  x: Tensor,
  { residual, attend, attends }: Blocks,
  { hint, changes = [] }: { hint?: Tensor; changes?: readonly UnetChange[] | undefined } = {},
): { skips: Tensor[]; middle: Tensor } {
  checkInput(config, x)
  const levels = config.channel_mult.length
  const input = (i: number) => at(`input_blocks.${i}`)
  const skips: Tensor[] = []
  const kept = (h: Tensor, level: number): Tensor => {
    const block = skips.length
    const out = input(block).mark(changed(changes, 'input', { part: 'input', block, level }, h => h)(h))
    skips.push(out)
    return out
  }
  const first = conv2d(input(0)('0'), x, { out: config.model_channels, kernel: 3 })
  let h = kept(hint === undefined ? first : add(first, hint), 0)
  for (const [level, mult] of config.channel_mult.entries()) {
    for (let i = 0; i < atLevel(config.num_res_blocks, level); i++) {
      const block = input(skips.length)
      h = residual(block('0'), h, { out: mult * config.model_channels })
      if (attends(level, i)) h = attend(block('1'), h, { part: 'input', block: skips.length, level })
      h = kept(h, level)
    }
    if (level === levels - 1) continue
    const block = input(skips.length)
    h = config.resblock_updown
      ? residual(block('0'), h, { resize: 'down' })
      : config.conv_resample
        ? convDownsample(block('0'), h)
        : downsample(h)
    h = kept(h, level + 1)
  }
  const middle = at('middle_block')
  h = residual(middle('0'), h)
  const place = { part: 'middle', block: 0, level: levels - 1 } as const
  if (!config.disable_middle_transformer && hasAttention(config, place)) h = attend(middle('1'), h, place)
  const after = changed(changes, 'middle', place, h => h)
  return { skips, middle: middle.mark(after(residual(middle('2'), h))) }
}

type Depth = Pick<UnetPlace, 'part' | 'level'>

/** Transformer blocks at a place. Source: generative-models, openaimodel.py, transformer_depth_middle. */
const depthAt = (config: UnetConfig, { part, level }: Depth): number =>
  (part === 'middle' ? config.transformer_depth_middle : undefined) ?? atLevel(config.transformer_depth, level)

/** A transformer of no blocks is none: diffusers' way of saying where there is no attention. */
const hasAttention = (config: UnetConfig, place: Depth): boolean =>
  !config.use_spatial_transformer || depthAt(config, place) > 0

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
function transformerOptions(
  config: UnetConfig,
  channels: number,
  place: UnetPlace,
): Omit<TransformerOptions, 'changes'> {
  const { part, level } = place
  const { num_heads, num_head_channels, legacy } = config
  const heads = num_head_channels === -1 ? num_heads : Math.floor(channels / num_head_channels)
  const disabled = part === 'middle' ? config.disable_middle_self_attn : config.disable_self_attentions?.[level]
  return {
    heads,
    headChannels: num_head_channels === -1 || legacy ? Math.floor(channels / heads) : num_head_channels,
    depth: depthAt(config, place),
    contextDim: contextWidth(config),
    disableSelfAttention: disabled ?? false,
    linearProjections: config.use_linear_in_transformer,
    place,
  }
}

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
