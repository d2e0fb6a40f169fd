/**
 * The sizes of a tensor's axes. A negative size -k stands for k times the program's open batch, which is known only when
 * the program runs: products, quotients and sums of sizes then need no algebra of their own. One open axis a tensor.
 */
export type Shape = readonly number[]

/** The open batch size of an inference program. */
export const open = -1

/** Number of elements; negative when an axis is open. */
export const sizeOf = (shape: Shape): number => shape.reduce((product, size) => product * size, 1)

/** `[2, 4, batch]`: a shape as people read it. */
export const show = (shape: Shape): string =>
  `[${shape.map(size => (size >= 0 ? size : size === -1 ? 'batch' : `${-size}*batch`)).join(', ')}]`

/** Whether two shapes are the same. */
export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((size, i) => size === b[i])

/** Axis counted from the end when negative, checked against the rank. */
export function axisOf(op: string, axis: number, rank: number): number {
  const index = axis < 0 ? axis + rank : axis
  if (!Number.isInteger(index) || index < 0 || index >= rank) {
    throw new RangeError(`${op}: axis ${axis} does not exist in a tensor of rank ${rank} (use ${-rank} to ${rank - 1})`)
  }
  return index
}

/** The shape to which both broadcast, as in NumPy: axes align from the right, 1 stretches. */
export function broadcastShapes(op: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1
    const y = b[i - rank + b.length] ?? 1
    if (x !== y && x !== 1 && y !== 1) {
      throw new RangeError(
        `${op}: shapes ${show(a)} and ${show(b)} do not broadcast: axis ${i - rank} has ${show([x])} and ${show([y])}, and neither is 1`,
      )
    }
    return x === 1 ? y : x
  })
}

/** Row-major strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length)
  let stride = 1
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride
    stride *= shape[i]!
  }
  return strides
}

/** How many elements lie before and after one index of an axis: what loops along an axis need. */
export function around(shape: Shape, axis: number): { outer: number; size: number; inner: number } {
  return { outer: sizeOf(shape.slice(0, axis)), size: shape[axis]!, inner: sizeOf(shape.slice(axis + 1)) }
}

/** The shape with one axis of another size. */
export const resized = (shape: Shape, axis: number, size: number): Shape =>
  shape.map((old, i) => (i === axis ? size : old))
