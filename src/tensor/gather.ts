import { oneHot } from './arg.js'
import type { Emitter } from './emitter.js'
import { emitExpression } from './expression.js'
import { matmul } from './matmul.js'
import { reshape, transpose } from './reshape.js'
import { around, axisOf, type Shape, sameShape, show, sizeOf } from './shape.js'
import { apply, type Operation, type Tensor, type Value } from './tensor.js'

function checkIndices(op: string, indices: Tensor): void {
  if (indices.dtype !== 'i64') throw new TypeError(`${op}: the indices are ${indices.dtype}, wanted i64`)
}

/** Indices from 0 up; ONNX counts negative ones from the end. */
function checkedIndices(op: string, { data }: Value, size: number): Float64Array {
  return data.map(index => {
    if (index < -size || index >= size) throw new RangeError(`${op}: index ${index} lies outside an axis of ${size}`)
    return index < 0 ? index + size : index
  })
}

const gatherOperation: Operation<{ axis: number }> = {
  name: 'gather',
  infer: ([x, indices], { axis }) => {
    checkIndices('gather', indices!)
    if (x!.shape[axis]! < 0)
      throw new RangeError(`gather: axis ${axis} of ${show(x!.shape)} is open: gather along a closed one`)
    return { shape: [...x!.shape.slice(0, axis), ...indices!.shape, ...x!.shape.slice(axis + 1)], dtype: x!.dtype }
  },
  evaluate: ([x, indices], { axis }, shape) => {
    const { outer, size, inner } = around(x!.shape, axis)
    const chosen = checkedIndices('gather', indices!, size)
    const out = new Float64Array(sizeOf(shape))
    for (let o = 0; o < outer; o++) {
      chosen.forEach((index, k) => {
        const from = (o * size + index) * inner
        out.set(x!.data.subarray(from, from + inner), (o * chosen.length + k) * inner)
      })
    }
    return out
  },
  emit: (to, inputs, { attributes }) => to.node('Gather', inputs, { axis: attributes.axis }),
  gradient: (g, { inputs: [x, indices], attributes: { axis } }) => {
    const [rank, added] = [g.shape.length, indices!.shape.length]
    const order = [...Array(rank).keys()]
    const front = [...order.slice(axis, axis + added), ...order.slice(0, axis), ...order.slice(axis + added)]
    const scattered = scatterAdd(indices!, transpose(g, front), x!.shape[axis]!)
    const back = x!.shape.map((_, i) => (i === axis ? 0 : i < axis ? i + 1 : i))
    return [transpose(scattered, back), undefined]
  },
}

/**
 * Elements of an axis by their indices (i64, any shape, which takes the axis's place). With a table [size, width] and
 * axis 0 this is an embedding.
 */
export const gather = (x: Tensor, indices: Tensor, { axis = 0 }: { axis?: number } = {}): Tensor =>
  apply(gatherOperation, [x, indices], { axis: axisOf('gather', axis, x.shape.length) })

const rowShape = (indices: Shape, updates: Shape): Shape => updates.slice(indices.length)

const scatterAddOperation: Operation<{ size: number }> = {
  name: 'scatterAdd',
  infer: ([indices, updates], { size }) => {
    checkIndices('scatterAdd', indices!)
    if (!sameShape(updates!.shape.slice(0, indices!.shape.length), indices!.shape)) {
      throw new RangeError(
        `scatterAdd: updates ${show(updates!.shape)} do not fit indices ${show(indices!.shape)}: wanted the indices' shape first, then that of a row`,
      )
    }
    return { shape: [size, ...rowShape(indices!.shape, updates!.shape)], dtype: updates!.dtype }
  },
  evaluate: ([indices, updates], { size }, shape) => {
    const out = new Float64Array(sizeOf(shape))
    const row = sizeOf(shape.slice(1))
    checkedIndices('scatterAdd', indices!, size).forEach((index, k) => {
      for (let i = 0; i < row; i++) out[index * row + i]! += updates!.data[k * row + i]!
    })
    return out
  },
  emit: (to, inputs, node) =>
    node.attributes.size <= SMALL_TABLE
      ? emitExpression(to, inputs, node, (indices, updates) =>
          scatterAddByProduct(indices!, updates!, node.attributes.size),
        )
      : emitScatterElements(to, inputs, node as unknown as Tensor),
  gradient: (g, { inputs: [indices] }) => [undefined, gather(g, indices!)],
}

/** Up to so many rows a product of matrices beats ScatterElements, which takes some 50 ns for each number. */
const SMALL_TABLE = 1024

/** scatterAdd as the product of the one-hot matrix of the indices and the updates. */
export function scatterAddByProduct(indices: Tensor, updates: Tensor, size: number): Tensor {
  const [count, row] = [sizeOf(indices.shape), rowShape(indices.shape, updates.shape)]
  const hits = transpose(oneHot(reshape(indices, [count]), size, updates.dtype))
  return reshape(matmul(hits, reshape(updates, [count, sizeOf(row)])), [size, ...row])
}

/** Not ScatterND: the runtime's adds from several threads at once on the CPU and loses some of the rows. */
function emitScatterElements(
  to: Emitter,
  [indices, updates]: readonly string[],
  { inputs, shape, dtype }: Tensor,
): string {
  const [count, row] = [sizeOf(inputs[0]!.shape), sizeOf(shape.slice(1))]
  const column = to.node('Reshape', [indices!, to.reshapeTo([count, 1])])
  const added = to.node(
    'ScatterElements',
    [
      to.node('Expand', [to.constant(dtype, [], [0]), to.ints([shape[0]!, row])]),
      to.node('Expand', [column, to.shapeOf([count, row])]),
      to.node('Reshape', [updates!, to.reshapeTo([count, row])]),
    ],
    { axis: 0, reduction: 'add' },
  )
  return to.node('Reshape', [added, to.reshapeTo(shape)])
}

/** Zeros [size, ...row] to which the rows of `updates` [...indices' shape, ...row] are added at their indices (i64). */
export const scatterAdd = (indices: Tensor, updates: Tensor, size: number): Tensor =>
  apply(scatterAddOperation, [indices, updates], { size })
