import { add, div, mul, sub } from '../tensor/binary.js'
import { mean } from '../tensor/reduce.js'
import { sizeOf } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import { neg, sqrt, square } from '../tensor/unary.js'
import type { Normalise } from './batch-norm.js'
import { ones, zeros } from './initialisers.js'

/** A trained shift and scale of each channel (Glow, Kingma and Dhariwal 2018). Source: taming-transformers, util.py, ActNorm. */
export const actNorm: Normalise = (at, x) => {
  const shape = [1, x.shape[1]!, 1, 1]
  return mul(at.parameter('scale', shape, ones), add(x, at.parameter('loc', shape, zeros)))
}

/** The same with the values from which the first batch says that training should start; they come out in `start`. */
export function actNormStart(): { normalise: Normalise; start: Readonly<Record<string, Tensor>> } {
  const start: Record<string, Tensor> = {}
  const normalise: Normalise = (at, x) => {
    const count = sizeOf(x.shape) / x.shape[1]!
    const centre = mean(x, { axes: [0, 2, 3], keep: true })
    const variance = mul(mean(square(sub(x, centre)), { axes: [0, 2, 3], keep: true }), count / (count - 1))
    const [loc, scale] = [neg(centre), div(1, add(sqrt(variance), 1e-6))]
    start[`${at.path}.loc`] = loc
    start[`${at.path}.scale`] = scale
    return mul(scale, add(x, loc))
  }
  return { normalise, start }
}
