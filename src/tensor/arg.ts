import { equal } from './binary.js'
import { constant } from './constant.js'
import { unsqueeze } from './reshape.js'
import { around, axisOf, show, sizeOf } from './shape.js'
import { apply, type Dtype, type Operation, type Tensor } from './tensor.js'
import { cast, neg } from './unary.js'

const argmaxOperation: Operation<{ axis: number }> = {
  name: 'argmax',
  infer: ([x], { axis }) => {
    if (x!.shape[axis]! < 0)
      throw new RangeError(`argmax: axis ${axis} of ${show(x!.shape)} is open: take it over a closed one`)
    return { shape: x!.shape.filter((_, i) => i !== axis), dtype: 'i64' }
  },
  evaluate: ([x], { axis }, shape) => {
    const { size, inner } = around(x!.shape, axis)
    return Float64Array.from({ length: sizeOf(shape) }, (_, n) => {
      const start = Math.floor(n / inner) * size * inner + (n % inner)
      let best = 0
      for (let k = 1; k < size; k++) if (x!.data[start + k * inner]! > x!.data[start + best * inner]!) best = k
      return best
    })
  },
  emit: (to, inputs, { attributes }) => to.node('ArgMax', inputs, { axis: attributes.axis, keepdims: 0 }),
}

/** Index (i64) of the largest element along an axis, which goes away; at a tie the first. */
export const argmax = (x: Tensor, { axis }: { axis: number }): Tensor =>
  apply(argmaxOperation, [x], { axis: axisOf('argmax', axis, x.shape.length) })

/** Index (i64) of the smallest element along an axis, which goes away; at a tie the first. */
export const argmin = (x: Tensor, options: { axis: number }): Tensor => argmax(neg(x), options)

/**
 * A new last axis of `depth` with 1 at the index and 0 elsewhere. Compared as floats, which every device can and which is
 * exact up to a depth of 2^24.
 */
export function oneHot(indices: Tensor, depth: number, dtype: Dtype = 'f32'): Tensor {
  if (indices.dtype !== 'i64') throw new TypeError(`oneHot: the indices are ${indices.dtype}, wanted i64`)
  if (!(Number.isInteger(depth) && depth > 0 && depth <= 2 ** 24)) {
    throw new RangeError(`oneHot: depth ${depth}: wanted a whole number from 1 to 2^24`)
  }
  const range = constant(
    Float32Array.from({ length: depth }, (_, i) => i),
    [depth],
  )
  return cast(equal(unsqueeze(cast(indices, 'f32'), indices.shape.length), range), dtype)
}
