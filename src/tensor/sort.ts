import { around, axisOf, show } from './shape.js'
import { apply, type Operation, type Tensor } from './tensor.js'

const argsortOperation: Operation<{ axis: number }> = {
  name: 'argsort',
  infer: ([x], { axis }) => {
    if (x!.shape[axis]! < 0)
      throw new RangeError(`argsort: axis ${axis} of ${show(x!.shape)} is open: sort along a closed one`)
    if (x!.dtype !== 'f32') throw new TypeError(`argsort: numbers are ${x!.dtype}, wanted f32`)
    return { shape: x!.shape, dtype: 'i64' }
  },
  evaluate: ([x], { axis }) => {
    const { outer, size, inner } = around(x!.shape, axis)
    const out = new Float64Array(x!.data.length)
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const at = (k: number) => (o * size + k) * inner + i
        const order = [...Array(size).keys()].sort((a, b) => x!.data[at(b)]! - x!.data[at(a)]! || a - b)
        for (const [k, index] of order.entries()) out[at(k)] = index
      }
    }
    return out
  },
  emit: (to, [x], { inputs, attributes: { axis } }) =>
    to.node('TopK', [x!, to.ints([inputs[0]!.shape[axis]!])], { axis }, { result: 1 }),
}

/** Indices (i64) of the elements along an axis, the largest first; of equal ones the first. */
export const argsort = (x: Tensor, { axis }: { axis: number }): Tensor =>
  apply(argsortOperation, [x], { axis: axisOf('argsort', axis, x.shape.length) })
