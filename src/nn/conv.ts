import { conv2d as convolve } from '../tensor/conv.js'
import type { Scope } from '../tensor/program.js'
import { reshape } from '../tensor/reshape.js'
import type { Initialiser, Tensor } from '../tensor/tensor.js'
import { torchDefault } from './initialisers.js'

export interface ConvOptions {
  out: number
  kernel: number
  stride?: number
  /** On every side, or [top, left, bottom, right]; by default what keeps the size at stride 1. */
  padding?: number | readonly [number, number, number, number]
  bias?: boolean
  /** Of weight and bias; torch's default otherwise. */
  init?: Initialiser
}

/** Convolution [batch, in, h, w] -> [batch, out, h', w']. Parameters `weight` [out, in, kernel, kernel] and `bias` [out]. */
export function conv2d(at: Scope, x: Tensor, options: ConvOptions): Tensor {
  const { out, kernel, stride = 1, padding = Math.floor(kernel / 2), bias = true, init } = options
  const channels = x.shape[1]!
  const start = init ?? torchDefault(channels * kernel * kernel)
  const weight = at.parameter('weight', [out, channels, kernel, kernel], start)
  return convolve(x, weight, bias ? at.parameter('bias', [out], start) : undefined, { stride, padding })
}

/** A linear map of the channels of [batch, in, h, w] whose `weight` is that of a Conv1d, [out, in, 1]. */
export function pointwise(at: Scope, x: Tensor, { out, init }: { out: number; init?: Initialiser }): Tensor {
  const channels = x.shape[1]!
  const start = init ?? torchDefault(channels)
  const weight = reshape(at.parameter('weight', [out, channels, 1], start), [out, channels, 1, 1])
  return convolve(x, weight, at.parameter('bias', [out], start))
}
