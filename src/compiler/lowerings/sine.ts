import { add, mul, sub } from '../../tensor/binary.js'
import type { Tensor } from '../../tensor/tensor.js'
import { square, unary } from '../../tensor/unary.js'
import type { Lowering } from '../lowering.js'

const floor = unary('floor', { onnx: 'Floor', f: Math.floor })

/** Parts of pi of 10 bits at most, so that their products with whole and half numbers are exact in f32; then the rest. */
const high = 201 / 64
const middle = 1015 / 2 ** 20
const low = Math.PI - high - middle

/** The Taylor series of sine up to r^13: right to an f32's last bit for |r| <= pi / 2. */
function series(r: Tensor): Tensor {
  const squared = square(r)
  const factorial = (n: number): number => (n === 0 ? 1 : n * factorial(n - 1))
  let sum = mul(squared, 1 / factorial(13))
  for (let power = 11; power > 1; power -= 2) {
    const sign = power % 4 === 1 ? 1 : -1
    sum = mul(squared, add(sum, sign / factorial(power)))
  }
  return add(r, mul(r, sum))
}

/**
 * The sine of x less the nearest of its zeros, which lie at pi times the whole numbers (`zero` 0), or for the cosine at pi
 * times those and a half (`zero` 0.5); reduced as Cody and Waite do.
 */
function wave(x: Tensor, zero: 0 | 0.5): Tensor {
  const turns = floor(add(mul(x, 1 / Math.PI), 0.5 - zero))
  const nearest = add(turns, zero)
  const r = sub(sub(sub(x, mul(nearest, high)), mul(nearest, middle)), mul(nearest, low))
  const odd = sub(turns, mul(floor(mul(turns, 0.5)), 2))
  // The sine rises through its zero at 0, the cosine falls through its zero at pi / 2.
  const slope = zero === 0 ? sub(1, mul(odd, 2)) : sub(mul(odd, 2), 1)
  return mul(slope, series(r))
}

/** WGSL's own may be wrong by 2^-11, and by any amount outside of [-pi, pi] (15.7.4.1, accuracy of built-in functions). */
const imprecise: Lowering['fits'] = ({ dtype }, { device }) => device === 'webgpu' && dtype === 'f32'

export const sineLowerings: readonly Lowering[] = [
  { op: 'sin', name: 'series', fits: imprecise, rewrite: ({ inputs }) => wave(inputs[0]!, 0) },
  { op: 'cos', name: 'series', fits: imprecise, rewrite: ({ inputs }) => wave(inputs[0]!, 0.5) },
]
