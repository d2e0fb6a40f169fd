import { show } from './shape.js'
import { apply, type Operation, type Tensor } from './tensor.js'

const dequantiseOperation: Operation = {
  name: 'dequantise',
  infer: ([numbers, scales]) => {
    const [q, s] = [numbers!.shape, scales!.shape]
    if (q.length !== 2 || s.length !== 1 || q[0] !== s[0]) {
      throw new RangeError(`dequantise: ${show(q)} with scales ${show(s)}: wanted [blocks, size] and [blocks]`)
    }
    return { shape: q, dtype: scales!.dtype }
  },
  evaluate: ([numbers, scales]) => {
    const size = numbers!.shape[1]!
    return numbers!.data.map((q, i) => q * scales!.data[Math.floor(i / size)]!)
  },
  emit: (to, inputs) => to.node('DequantizeLinear', inputs, { axis: 0 }),
}

/** Whole numbers of 8 or 4 bits [blocks, size], each block times its scale [blocks]. */
export const dequantise = (numbers: Tensor, scales: Tensor): Tensor => apply(dequantiseOperation, [numbers, scales], {})
