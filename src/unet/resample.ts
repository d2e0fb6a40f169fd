import { conv2d } from '../nn/conv.js'
import { averagePool2d } from '../tensor/pool.js'
import type { Scope } from '../tensor/program.js'
import { resizeNearest } from '../tensor/resize.js'
import type { Tensor } from '../tensor/tensor.js'

/** Twice the size, each position copied. */
export const upsample = (x: Tensor): Tensor => resizeNearest(x, [2 * x.shape[2]!, 2 * x.shape[3]!])

/** Half the size, by means of 2x2 positions. */
export const downsample = (x: Tensor): Tensor => averagePool2d(x, { kernel: 2, stride: 2 })

/** Twice the size, then a convolution. Source: openaimodel.py, Upsample. */
export const convUpsample = (at: Scope, x: Tensor): Tensor =>
  conv2d(at('conv'), upsample(x), { out: x.shape[1]!, kernel: 3 })

/** A convolution of stride 2 that pads 1 on all sides. Source: openaimodel.py, Downsample. */
export const convDownsample = (at: Scope, x: Tensor): Tensor =>
  conv2d(at('op'), x, { out: x.shape[1]!, kernel: 3, stride: 2 })
