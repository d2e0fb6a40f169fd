import { broadcastShapes, type Shape, sizeOf, stridesOf } from './shape.js'
import type { Tensor, Value } from './tensor.js'
import { topological } from './walk.js'

/** Strides with which a value of `shape` is read as if it had the shape `as` (stretched axes have stride 0). */
export function broadcastStrides(shape: Shape, as: Shape): number[] {
  const strides = stridesOf(shape)
  const missing = as.length - shape.length
  return as.map((_, i) => (i < missing || shape[i - missing] === 1 ? 0 : strides[i - missing]!))
}

/** Calls `visit` with the flat offsets, in row-major order over `shape`, that the lists of strides lead to. */
export function forEachOffset(shape: Shape, strides: readonly number[][], visit: (...offsets: number[]) => void): void {
  const total = sizeOf(shape)
  const index = new Array<number>(shape.length).fill(0)
  const offsets = strides.map(() => 0)
  for (let n = 0; n < total; n++) {
    visit(...offsets)
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++
      for (let k = 0; k < strides.length; k++) offsets[k]! += strides[k]![axis]!
      if (index[axis]! < shape[axis]!) break
      for (let k = 0; k < strides.length; k++) offsets[k]! -= strides[k]![axis]! * shape[axis]!
      index[axis] = 0
    }
  }
}

/** Elementwise function of broadcast values, for the definitions of operations. */
export function map2(a: Value, b: Value, f: (x: number, y: number) => number): Float64Array {
  const shape = broadcastShapes('elementwise', a.shape, b.shape)
  const out = new Float64Array(sizeOf(shape))
  let i = 0
  forEachOffset(shape, [broadcastStrides(a.shape, shape), broadcastStrides(b.shape, shape)], (p, q) => {
    out[i++] = f(a.data[p!]!, b.data[q!]!)
  })
  return out
}

/**
 * The value of tensors by their f64 definitions: slow, exact, and what every emission and lowering is held against.
 * `given` holds the values of inputs and parameters, by name.
 */
export function evaluate(tensors: readonly Tensor[], given: Readonly<Record<string, Value>> = {}): Value[] {
  const values = new Map<Tensor, Value>()
  for (const node of topological(tensors)) {
    const name = node.attributes.name
    const leaf = node.inputs.length === 0 && typeof name === 'string' ? given[name] : undefined
    values.set(
      node,
      leaf ?? {
        shape: node.shape,
        data: node.op.evaluate(
          node.inputs.map(t => values.get(t)!),
          node.attributes,
          node.shape,
        ),
      },
    )
  }
  return tensors.map(t => values.get(t)!)
}
