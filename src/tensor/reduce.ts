import { div, equal, mul } from './binary.js'
import { forEachOffset } from './evaluate.js'
import { expandTo, reshape } from './reshape.js'
import { axisOf, type Shape, sameShape, show, sizeOf, stridesOf } from './shape.js'
import { apply, type Operation, type Tensor, type Value } from './tensor.js'
import { cast } from './unary.js'

interface ReduceAttributes extends Readonly<Record<string, unknown>> {
  readonly axes: readonly number[]
}

/** Shape with the reduced axes kept as 1. */
const reduced = (shape: Shape, axes: readonly number[]): Shape => shape.map((size, i) => (axes.includes(i) ? 1 : size))

/** A reduction over axes, which stay as axes of size 1. */
function reduction(
  name: string,
  onnx: string,
  start: number,
  fold: (acc: number, x: number) => number,
  gradient: NonNullable<Operation<ReduceAttributes>['gradient']>,
): Operation<ReduceAttributes> {
  return {
    name,
    infer: ([x], { axes }) => ({ shape: reduced(x!.shape, axes), dtype: x!.dtype }),
    evaluate: ([x], { axes }, shape) => foldAxes(x!, axes, shape, start, fold),
    reorder: ({ axes }, order) => ({ axes: axes.map(axis => order.indexOf(axis)).sort((a, b) => a - b) }),
    emit: (to, [x], { inputs, attributes, shape }) => {
      // One run of neighbouring axes after the other, outermost first, as a tensor of two or three axes: the runtime's
      // kernels are fast in that form and slow in others.
      let name = x!
      let size = inputs[0]!.shape
      for (const [first, last] of runsOf(size, attributes.axes)) {
        const parts = [size.slice(0, first), size.slice(first, last + 1), size.slice(last + 1)].map(sizeOf)
        const [before, run, after] = parts as [number, number, number]
        const reduceAxis = (axis: number, shape: Shape) => {
          const rows = to.node('Reshape', [name, to.reshapeTo(shape)])
          name = to.node(onnx, [rows, to.ints([axis])], { keepdims: 1 })
        }
        if (after === 1) reduceAxis(1, [before, run])
        else if (before !== 1) reduceAxis(1, [before, run, after])
        else {
          const inner = rowsTogether(run, after)
          if (inner > 1) reduceAxis(0, [run / inner, inner * after])
          reduceAxis(0, [inner > 1 ? inner : run, after])
        }
        size = size.map((n, i) => (i >= first && i <= last ? 1 : n))
      }
      return to.node('Reshape', [name, to.reshapeTo(shape)])
    },
    gradient,
  }
}

/** Elements of a row that the runtime's kernel can spread over its threads and vector registers. */
const longRow = 16384

/** Of many short rows, how many to take as one: the largest divisor of their number that keeps within a long row. */
function rowsTogether(run: number, after: number): number {
  for (let count = Math.floor(longRow / after); count > 1; count--) if (run % count === 0 && run > count) return count
  return 1
}

/** The reduced axes as runs [first, last] of neighbours; kept axes of size 1 join them. */
function runsOf(shape: Shape, axes: readonly number[]): [number, number][] {
  const runs: [number, number][] = []
  for (const axis of axes) {
    const run = runs.at(-1)
    if (run && shape.slice(run[1] + 1, axis).every(size => size === 1)) run[1] = axis
    else runs.push([axis, axis])
  }
  return runs
}

function foldAxes(
  x: Value,
  axes: readonly number[],
  shape: Shape,
  start: number,
  fold: (acc: number, x: number) => number,
) {
  const out = new Float64Array(sizeOf(shape)).fill(start)
  const strides = stridesOf(shape).map((stride, i) => (axes.includes(i) ? 0 : stride))
  forEachOffset(x.shape, [stridesOf(x.shape), strides], (from, to) => {
    out[to!] = fold(out[to!]!, x.data[from!]!)
  })
  return out
}

const sumOperation = reduction(
  'sum',
  'ReduceSum',
  0,
  (acc, x) => acc + x,
  (g, { inputs: [x] }) => [expandTo(g, x!.shape)],
)

/** Where several elements share the extremum, each gets an equal part of the gradient. */
const extremumGradient: NonNullable<Operation<ReduceAttributes>['gradient']> = (g, node) => {
  const x = node.inputs[0]!
  const hit = cast(equal(x, node as Tensor), x.dtype)
  return [mul(hit, div(g, sum(hit, { axes: node.attributes.axes, keep: true })))]
}
const maxOperation = reduction('max', 'ReduceMax', -Infinity, Math.max, extremumGradient)
const minOperation = reduction('min', 'ReduceMin', Infinity, Math.min, extremumGradient)

/** Over which axes (all by default), and whether they stay as axes of size 1. */
export interface ReduceOptions {
  axes?: number | readonly number[]
  keep?: boolean
}

function reduce(op: Operation<ReduceAttributes>, x: Tensor, { axes, keep = false }: ReduceOptions): Tensor {
  const listed = axes === undefined ? x.shape.map((_, i) => i) : typeof axes === 'number' ? [axes] : axes
  const positive = listed.map(axis => axisOf(op.name, axis, x.shape.length)).sort((a, b) => a - b)
  const long = positive.filter(axis => x.shape[axis] !== 1)
  const out = long.length === 0 ? x : apply(op, [x], { axes: long })
  return keep
    ? out
    : reshape(
        out,
        x.shape.filter((_, i) => !positive.includes(i)),
      )
}

/** Sum over axes. */
export const sum = (x: Tensor, options: ReduceOptions = {}): Tensor => reduce(sumOperation, x, options)
/** Largest element over axes. */
export const max = (x: Tensor, options: ReduceOptions = {}): Tensor => reduce(maxOperation, x, options)
/** Smallest element over axes. */
export const min = (x: Tensor, options: ReduceOptions = {}): Tensor => reduce(minOperation, x, options)

/** Mean over axes, which must not be open. */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  const total = sum(x, options)
  const count = sizeOf(x.shape) / sizeOf(total.shape)
  if (!(count > 0))
    throw new RangeError(`mean: the number of elements of ${show(x.shape)} is open; reduce closed axes only`)
  return mul(total, 1 / count)
}

/** The opposite of broadcasting: sums the stretched axes away, so that the result has `shape`. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x
  const extra = x.shape.length - shape.length
  const axes = x.shape.flatMap((size, i) => (i < extra || (shape[i - extra] === 1 && size !== 1) ? [i] : []))
  return reshape(sum(x, { axes, keep: true }), shape)
}
