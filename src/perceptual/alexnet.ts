import { conv2d } from '../nn/conv.js'
import { relu } from '../tensor/activation.js'
import { maxPool2d } from '../tensor/pool.js'
import type { Scope } from '../tensor/program.js'
import type { Tensor } from '../tensor/tensor.js'

/**
 * AlexNet (Krizhevsky 2014, "one weird trick") of scaled pixels [batch, 3, h, w], 31 or more each way: its five
 * activations, from about 1/4 to 1/16 of the size. Parameters as torchvision's `features` count them.
 */
export function alexnetFeatures(at: Scope, pixels: Tensor): Tensor[] {
  const pool = (x: Tensor) => maxPool2d(x, { kernel: 3, stride: 2 })
  const first = relu(conv2d(at('features.0'), pixels, { out: 64, kernel: 11, stride: 4, padding: 2 }))
  const second = relu(conv2d(at('features.3'), pool(first), { out: 192, kernel: 5 }))
  const third = relu(conv2d(at('features.6'), pool(second), { out: 384, kernel: 3 }))
  const fourth = relu(conv2d(at('features.8'), third, { out: 256, kernel: 3 }))
  const fifth = relu(conv2d(at('features.10'), fourth, { out: 256, kernel: 3 }))
  return [first, second, third, fourth, fifth]
}
