import { z } from 'zod'
import { conv2d } from '../../nn/conv.js'
import { relu } from '../../tensor/activation.js'
import { add } from '../../tensor/binary.js'
import { averagePool2d } from '../../tensor/pool.js'
import type { Scope } from '../../tensor/program.js'
import { reshape, transpose } from '../../tensor/reshape.js'
import type { Tensor } from '../../tensor/tensor.js'

const count = z.int().positive()

/** A T2I-adapter in words of its own; published files do not carry any. */
export const mapAdapterConfig = z.strictObject({
  pixel_channels: z.union([z.literal(1), z.literal(3)]).describe('1: grey maps such as sketches and depth; 3: colours'),
  channels: z.array(count).min(1).describe('of each of its features'),
  num_res_blocks: count.describe('at each level'),
  kernel: z.union([z.literal(1), z.literal(3)]).describe('of all but the first convolution of a block'),
  xl: z.boolean().describe('as for Stable Diffusion XL: features half as large, halved once; one more for the middle'),
  light: z.boolean().describe('blocks of a quarter of the channels, between convolutions that narrow and widen'),
})
/** A T2I-adapter's own words. */
export type MapAdapterConfig = z.infer<typeof mapAdapterConfig>

/**
 * Features of a map [batch, pixel_channels, height, width] in [0, 1] for each level of a UNet over latents `factor` times
 * smaller: [batch, channels, h, w], half the size from level to level. Source: Mou et al. 2023; TencentARC/T2I-Adapter,
 * ldm/modules/encoders/adapter.py, Adapter with sk=True and use_conv=False, and Adapter_light; diffusers,
 * models/adapter.py, FullAdapterXL.
 */
export function mapAdapter(at: Scope, config: MapAdapterConfig, map: Tensor, factor: number): Tensor[] {
  const { channels, num_res_blocks, kernel, light, xl } = config
  const unshuffled = pixelUnshuffle(map, xl ? 2 * factor : factor)
  const conv = (scope: Scope, x: Tensor, out: number, size: number) =>
    conv2d(scope, x, { out, kernel: size, padding: (size - 1) / 2 })
  const block = (scope: Scope, x: Tensor, second: number) => {
    const width = x.shape[1]!
    return add(x, conv(scope('block2'), relu(conv(scope('block1'), x, width, 3)), width, second))
  }
  let h = light ? unshuffled : conv(at('conv_in'), unshuffled, channels[0]!, 3)
  return channels.map((out, level) => {
    if (xl ? level === 2 : level > 0) h = averagePool2d(h, { kernel: 2, stride: 2 })
    if (light) {
      const body = at(`body.${level}`)
      h = conv(body('in_conv'), h, out / 4, 1)
      for (let i = 0; i < num_res_blocks; i++) h = block(body(`body.${i}`), h, 3)
      h = conv(body('out_conv'), h, out, 1)
    } else {
      for (let i = 0; i < num_res_blocks; i++) {
        const body = at(`body.${level * num_res_blocks + i}`)
        if (h.shape[1] !== out) h = conv(body('in_conv'), h, out, kernel)
        h = block(body, h, kernel)
      }
    }
    return h
  })
}

/** Squares of positions as channels: [batch, c, h, w] -> [batch, c * factor^2, h / factor, w / factor], as torch's PixelUnshuffle. */
function pixelUnshuffle(x: Tensor, factor: number): Tensor {
  const [batch, channels, height, width] = x.shape as [number, number, number, number]
  const [h, w] = [height / factor, width / factor]
  const cells = reshape(x, [batch, channels, h, factor, w, factor])
  return reshape(transpose(cells, [0, 1, 3, 5, 2, 4]), [batch, channels * factor * factor, h, w])
}

type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>

/**
 * The configuration that names and shapes of the original's tensors tell, for a UNet of so many levels over latents
 * `factor` times smaller than pictures; undefined where they are no T2I-adapter's.
 */
export function mapAdapterConfigOf(tensors: Shapes, levels: number, factor: number): MapAdapterConfig | undefined {
  const light = !tensors.has('conv_in.weight')
  const shapeOf = (name: string) => tensors.get(`${name}.weight`)?.shape
  const counted = (name: (i: number) => string) => {
    let i = 0
    while (tensors.has(`${name(i)}.block1.weight`)) i++
    return i
  }
  const unshuffled = (shapeOf(light ? 'body.0.in_conv' : 'conv_in')?.[1] ?? 0) / factor ** 2
  // A map of 1 or 3 channels in squares of twice the side has 4 times as many.
  const xl = !light && levels === 3 && unshuffled % 4 === 0
  const features = xl ? levels + 1 : levels
  const blocks = light ? counted(i => `body.0.body.${i}`) : counted(i => `body.${i}`) / features
  const widths = Array.from({ length: features }, (_, i) =>
    light ? shapeOf(`body.${i}.out_conv`) : shapeOf(`body.${i * blocks}.block1`),
  )
  const found = mapAdapterConfig.safeParse({
    pixel_channels: xl ? unshuffled / 4 : unshuffled,
    channels: widths.map(shape => shape?.[0]),
    num_res_blocks: blocks,
    kernel: light ? 3 : shapeOf('body.0.block2')?.[2],
    light,
    xl,
  })
  return found.success ? found.data : undefined
}
