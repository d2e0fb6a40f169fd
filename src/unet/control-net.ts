import { conv2d } from '../nn/conv.js'
import { zeros } from '../nn/initialisers.js'
import { silu } from '../tensor/activation.js'
import { mul } from '../tensor/binary.js'
import type { Scope } from '../tensor/program.js'
import type { Tensor } from '../tensor/tensor.js'
import { atLevel, type UnetConfig } from './config.js'
import { conditionEmbedding } from './embedding.js'
import { blocksOf, encoderHalf } from './encoder.js'
import type { UnetInputs } from './unet.js'

/** What a ControlNet is told. */
export interface ControlInputs extends Pick<UnetInputs, 'x' | 't' | 'context' | 'y'> {
  /** The picture that says where things are, in pixels: [batch, channels, height, width], in [0, 1]. */
  hint: Tensor
  /** How much it counts, at all places or at each: a number, or one for each sample, [batch, 1, 1, 1]. */
  strength?: readonly Tensor[] | undefined
}

/**
 * A trained copy of a UNet's encoder half that reads a hint and adds to what the UNet skips, through convolutions that
 * start at 0: one tensor for each input block and one for the middle. Source: Zhang et al. 2023; ControlNet, cldm/cldm.py.
 *
 * @param config of the UNet
 * @throws RangeError where the hint is no power of 2 larger than the latents.
 * @example
 * const control = controlNet(at('control_model'), config, { x, t, context, hint })
 * const prediction = unet(at('model.diffusion_model'), config, { x, t, context, control })
 */
export function controlNet(at: Scope, config: UnetConfig, inputs: ControlInputs): Tensor[] {
  const { x, t, context, y, hint, strength } = inputs
  const emb = conditionEmbedding(at, config, { t, context, y })
  const embedded = hintBlock(at('input_hint_block'), hint, {
    out: config.model_channels,
    factor: factorBetween(hint, x),
  })
  const { skips, middle } = encoderHalf(at, config, x, blocksOf(config, { emb, context }), { hint: embedded })
  const added = [
    ...skips.map((h, i) => zeroConv(at(`zero_convs.${i}.0`), h)),
    zeroConv(at('middle_block_out.0'), middle),
  ]
  return strength ? added.map((h, i) => mul(h, strength[i] ?? strength[0]!)) : added
}

/** How many places of a UNet a ControlNet adds to: behind each input block and the middle. */
export const controlPlaces = (config: UnetConfig): number =>
  config.channel_mult.reduce((sum, _, level) => sum + atLevel(config.num_res_blocks, level) + 1, 0) + 1

const zeroConv = (at: Scope, h: Tensor): Tensor => conv2d(at, h, { out: h.shape[1]!, kernel: 1, init: zeros })

/** Channels after each convolution that halves the hint; further ones keep the last. */
const widths = [32, 96, 256]

/** Convolutions that bring the hint to the size of the latents: a pair for each halving, of which the original has three. */
function hintBlock(at: Scope, hint: Tensor, { out, factor }: { out: number; factor: number }): Tensor {
  let index = 0
  const next = () => at(String(2 * index++))
  const layer = (h: Tensor, out: number, stride = 1) => silu(conv2d(next(), h, { out, kernel: 3, stride, padding: 1 }))
  let h = layer(hint, 16)
  for (let i = 0; 2 ** i < factor; i++) h = layer(layer(h, h.shape[1]!), widths[i] ?? widths.at(-1)!, 2)
  return conv2d(next(), h, { out, kernel: 3, init: zeros })
}

function factorBetween(hint: Tensor, x: Tensor): number {
  const [, , height, width] = hint.shape as [number, number, number, number]
  const factor = height / x.shape[2]!
  if (!Number.isInteger(Math.log2(factor)) || width !== factor * x.shape[3]!) {
    throw new RangeError(
      `controlNet: a hint of ${width}x${height} pixels is no power of 2 larger than the latents of ${x.shape[3]}x${x.shape[2]}`,
    )
  }
  return factor
}
