import { oneHot } from './arg.js'
import { matmul } from './matmul.js'
import { show } from './shape.js'
import { apply, type Operation, type Tensor } from './tensor.js'

const gatherRowsOperation: Operation = {
  name: 'gatherRows',
  infer: ([x, indices]) => {
    if (indices!.dtype !== 'i64') throw new TypeError(`gatherRows: the indices are ${indices!.dtype}, wanted i64`)
    if (x!.shape.length !== 3 || indices!.shape.length !== 2 || x!.shape[0] !== indices!.shape[0]) {
      throw new RangeError(
        `gatherRows: ${show(x!.shape)} and indices ${show(indices!.shape)} do not fit: wanted [batch, rows, width] and [batch, any]`,
      )
    }
    return { shape: [...indices!.shape, x!.shape[2]!], dtype: x!.dtype }
  },
  evaluate: ([x, indices], _, [batch, count, width]) => {
    const rows = x!.shape[1]!
    const out = new Float64Array(batch! * count! * width!)
    for (const [i, index] of indices!.data.entries()) {
      if (index < 0 || index >= rows) throw new RangeError(`gatherRows: row ${index} of ${rows}`)
      const from = (Math.floor(i / count!) * rows + index) * width!
      out.set(x!.data.subarray(from, from + width!), i * width!)
    }
    return out
  },
  emit: (to, [x, indices], { inputs }) => {
    const column = to.node('Unsqueeze', [indices!, to.ints([inputs[1]!.shape.length])])
    return to.node('GatherND', [x!, column], { batch_dims: 1 })
  },
  gradient: (g, { inputs: [x, indices] }) => [
    matmul(oneHot(indices!, x!.shape[1]!, g.dtype), g, { transposeA: true }),
    undefined,
  ],
}

/** Rows of each sample of x [batch, rows, width] by that sample's own indices [batch, any] (i64), from 0 up. */
export const gatherRows = (x: Tensor, indices: Tensor): Tensor => apply(gatherRowsOperation, [x, indices], {})
