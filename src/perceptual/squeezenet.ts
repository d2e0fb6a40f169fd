import { conv2d } from '../nn/conv.js'
import { relu } from '../tensor/activation.js'
import { div, sub } from '../tensor/binary.js'
import { constant } from '../tensor/constant.js'
import { maxPool2d } from '../tensor/pool.js'
import type { Scope } from '../tensor/program.js'
import { concat } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import { PIXEL_DEVIATION, PIXEL_MEAN } from './pixels.js'

/** Widths of the fire modules: [of the squeezed part, of each expanded half]; 0 stands for max pooling. */
const LAYERS: readonly (readonly [number, number] | 0)[] = [
  0,
  [16, 64],
  [16, 64],
  0,
  [32, 128],
  [32, 128],
  0,
  [48, 192],
  [48, 192],
  [64, 256],
  [64, 256],
]

/**
 * SqueezeNet 1.1 (Iandola et al. 2016) of images [batch, 3, h, w] in [-1, 1]: the activations after each of the named
 * layers, which count as in torchvision's `features`: 1 (convolution and ReLU, 64 channels, 1/2 of the size), 3 and 4
 * (128, 1/4), 6 and 7 (256, 1/8), 9 and 10 (384, 1/16), 11 and 12 (512).
 */
export function squeezenet(at: Scope, images: Tensor, layers: readonly number[]): Tensor[] {
  const [height, width] = images.shape.slice(2) as [number, number]
  if (images.shape[1] !== 3 || Math.min(height, width) < 17) {
    throw new RangeError(
      `squeezenet: images have shape [${images.shape.join(', ')}], wanted [batch, 3, 17 or more, 17 or more]`,
    )
  }
  const scaled = div(sub(images, constant(PIXEL_MEAN, [1, 3, 1, 1])), constant(PIXEL_DEVIATION, [1, 3, 1, 1]))
  return squeezenetFeatures(at, scaled, layers)
}

/** The same of pixels that are scaled already. */
export function squeezenetFeatures(at: Scope, pixels: Tensor, layers: readonly number[]): Tensor[] {
  let h = relu(conv2d(at('features.0'), pixels, { out: 64, kernel: 3, stride: 2, padding: 0 }))
  const reached = new Map([[1, h]])
  const last = Math.max(...layers)
  for (const [i, widths] of LAYERS.entries()) {
    const index = i + 2
    if (index > last) break
    h = widths === 0 ? maxPool2d(h, { kernel: 3, stride: 2, ceil: true }) : fire(at(`features.${index}`), h, ...widths)
    reached.set(index, h)
  }
  return layers.map(layer => {
    const activation = reached.get(layer)
    if (activation === undefined) throw new RangeError(`squeezenet: there is no layer ${layer}; layers are 1 to 12`)
    return activation
  })
}

/** A squeeze to few channels, then two convolutions side by side. Source: torchvision, Fire. */
function fire(at: Scope, x: Tensor, squeezed: number, expanded: number): Tensor {
  const h = relu(conv2d(at('squeeze'), x, { out: squeezed, kernel: 1 }))
  const [small, large] = [1, 3].map(kernel => conv2d(at(`expand${kernel}x${kernel}`), h, { out: expanded, kernel }))
  return relu(concat([small!, large!], { axis: 1 }))
}
