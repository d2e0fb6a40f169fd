import { broadcastStrides, forEachOffset } from './evaluate.js'
import { sumTo } from './reduce.js'
import { axisOf, broadcastShapes, type Shape, sameShape, show, sizeOf, stridesOf } from './shape.js'
import { apply, type Operation, type Tensor } from './tensor.js'

const reshapeOperation: Operation<{ shape: Shape }> = {
  name: 'reshape',
  infer: ([x], { shape }) => {
    if (sizeOf(shape) !== sizeOf(x!.shape)) {
      throw new RangeError(
        `reshape: ${show(x!.shape)} has ${show([sizeOf(x!.shape)])} elements and ${show(shape)} wants ${show([sizeOf(shape)])}`,
      )
    }
    return { shape, dtype: x!.dtype }
  },
  evaluate: ([x]) => x!.data,
  emit: (to, [x], { attributes }) => to.node('Reshape', [x!, to.reshapeTo(attributes.shape)]),
  gradient: (g, { inputs: [x] }) => [reshape(g, x!.shape)],
}

/** The same elements in another shape, row-major. */
export const reshape = (x: Tensor, shape: Shape): Tensor =>
  sameShape(x.shape, shape) ? x : apply(reshapeOperation, [x], { shape })

/** Reshapes with one axis written as 'rest', whose size follows from the others. */
export function reshapeRest(x: Tensor, shape: readonly (number | 'rest')[]): Tensor {
  const known = shape.reduce<number>((product, size) => (size === 'rest' ? product : product * size), 1)
  return reshape(
    x,
    shape.map(size => (size === 'rest' ? sizeOf(x.shape) / known : size)),
  )
}

const transposeOperation: Operation<{ order: readonly number[] }> = {
  name: 'transpose',
  infer: ([x], { order }) => {
    if ([...order].sort((a, b) => a - b).some((axis, i) => axis !== i) || order.length !== x!.shape.length) {
      throw new RangeError(`transpose: [${order}] is no order of the ${x!.shape.length} axes of ${show(x!.shape)}`)
    }
    return { shape: order.map(axis => x!.shape[axis]!), dtype: x!.dtype }
  },
  evaluate: ([x], { order }, shape) => {
    const out = new Float64Array(x!.data.length)
    const strides = stridesOf(x!.shape)
    let i = 0
    forEachOffset(shape, [order.map(axis => strides[axis]!)], from => {
      out[i++] = x!.data[from]!
    })
    return out
  },
  emit: (to, [x], { inputs, attributes: { order }, shape }) => {
    // Axes that move together move as one: the runtime is many times faster at few long axes than at many short ones.
    const runs: number[][] = []
    for (const axis of order) {
      const run = runs.at(-1)
      if (run && run.at(-1) === axis - 1) run.push(axis)
      else runs.push([axis])
    }
    if (runs.length === order.length) return to.node('Transpose', [x!], { perm: order })
    const sorted = [...runs].sort((a, b) => a[0]! - b[0]!)
    const merged = sorted.map(run => sizeOf(run.map(axis => inputs[0]!.shape[axis]!)))
    const flat = to.node('Reshape', [x!, to.reshapeTo(merged)])
    const moved = to.node('Transpose', [flat], { perm: runs.map(run => sorted.indexOf(run)) })
    return to.node('Reshape', [moved, to.reshapeTo(shape)])
  },
  gradient: (g, { attributes }) => [transpose(g, invert(attributes.order))],
}

const invert = (order: readonly number[]): number[] => order.map((_, i) => order.indexOf(i))

/** Axes in another order; by default the last two are swapped. */
export function transpose(x: Tensor, order?: readonly number[]): Tensor {
  const rank = x.shape.length
  const full = order ?? [...Array(rank - 2).keys(), rank - 1, rank - 2]
  return full.every((axis, i) => axis === i) ? x : apply(transposeOperation, [x], { order: full })
}

const expandOperation: Operation<{ shape: Shape }> = {
  name: 'expand',
  infer: ([x], { shape }) => {
    if (!sameShape(broadcastShapes('expandTo', x!.shape, shape), shape)) {
      throw new RangeError(`expandTo: ${show(x!.shape)} does not stretch to ${show(shape)}`)
    }
    return { shape, dtype: x!.dtype }
  },
  evaluate: ([x], _, shape) => {
    const out = new Float64Array(sizeOf(shape))
    let i = 0
    forEachOffset(shape, [broadcastStrides(x!.shape, shape)], from => {
      out[i++] = x!.data[from]!
    })
    return out
  },
  reorder: ({ shape }, order) => ({ shape: order.map(axis => shape[axis]!) }),
  emit: (to, [x], { attributes }) => to.node('Expand', [x!, to.shapeOf(attributes.shape)]),
  gradient: (g, { inputs: [x] }) => [sumTo(g, x!.shape)],
}

/** Stretches axes of size 1, and adds missing ones in front. */
export const expandTo = (x: Tensor, shape: Shape): Tensor =>
  sameShape(x.shape, shape) ? x : apply(expandOperation, [x], { shape })

/** Adds an axis of size 1 at `axis` of the result. */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  const at = axisOf('unsqueeze', axis, x.shape.length + 1)
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)])
}
