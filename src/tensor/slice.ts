import { forEachOffset } from './evaluate.js'
import { reshape } from './reshape.js'
import { around, axisOf, resized, type Shape, sameShape, show, sizeOf, stridesOf } from './shape.js'
import { apply, type Operation, type Tensor } from './tensor.js'

type SliceAttributes = { readonly axis: number; readonly start: number; readonly end: number; readonly step: number }

const sliceOperation: Operation<SliceAttributes> = {
  name: 'slice',
  infer: ([x], { axis, start, end, step }) => {
    const size = x!.shape[axis]!
    if (size < 0) {
      throw new RangeError(
        `slice: axis ${axis} of ${show(x!.shape)} is open: cut it into equal parts with split, or slice a closed axis`,
      )
    }
    if (![start, end, step].every(Number.isInteger) || start < 0 || end > size || start >= end || step < 1) {
      throw new RangeError(
        `slice: ${start} to ${end} in steps of ${step} does not fit axis ${axis} of ${show(x!.shape)}: wanted 0 <= start < end <= ${size} and a step of at least 1`,
      )
    }
    return { shape: resized(x!.shape, axis, Math.ceil((end - start) / step)), dtype: x!.dtype }
  },
  evaluate: ([x], { axis, start, step }, shape) => {
    const strides = stridesOf(x!.shape)
    const out = new Float64Array(sizeOf(shape))
    const base = start * strides[axis]!
    let i = 0
    forEachOffset(shape, [strides.map((stride, a) => (a === axis ? stride * step : stride))], from => {
      out[i++] = x!.data[base + from!]!
    })
    return out
  },
  reorder: (attributes, order) => ({ ...attributes, axis: order.indexOf(attributes.axis) }),
  emit: (to, [x], { attributes: { axis, start, end, step } }) =>
    to.node('Slice', [x!, to.ints([start]), to.ints([end]), to.ints([axis]), to.ints([step])]),
  gradient: (g, { inputs: [x], attributes: { axis, start, step } }) => [unslice(g, x!.shape, { axis, start, step })],
}

/**
 * Every `step`-th element of an axis, from `start` up to but without `end`; both count from the end when negative.
 *
 * @example
 * slice(x, { axis: 1, start: 2, end: 4 })   // x[:, 2:4]
 */
export function slice(
  x: Tensor,
  { axis, start = 0, end, step = 1 }: { axis: number; start?: number; end?: number; step?: number },
): Tensor {
  const at = axisOf('slice', axis, x.shape.length)
  const size = x.shape[at]!
  const fromEnd = (index: number) => (index < 0 && size > 0 ? index + size : index)
  const from = fromEnd(start)
  const to = end === undefined ? size : fromEnd(end)
  return from === 0 && to === size && step === 1
    ? x
    : apply(sliceOperation, [x], { axis: at, start: from, end: to, step })
}

/** The opposite of slice: zeros of `shape` with x at every `step`-th place of an axis, from `start` on. */
export function unslice(
  x: Tensor,
  shape: Shape,
  { axis, start, step = 1 }: { axis: number; start: number; step?: number },
): Tensor {
  const count = x.shape[axis]!
  const room = shape[axis]! - start
  let spread = x
  if (step > 1 && count > 1) {
    const split = [...x.shape.slice(0, axis + 1), 1, ...x.shape.slice(axis + 1)]
    const widths = split.map((_, i): [number, number] => [0, i === axis + 1 ? step - 1 : 0])
    spread = reshape(pad(reshape(x, split), widths), resized(x.shape, axis, count * step))
    if (count * step > room) spread = slice(spread, { axis, end: room })
  }
  const widths = shape.map((_, i): [number, number] => (i === axis ? [start, room - spread.shape[axis]!] : [0, 0]))
  return pad(spread, widths)
}

/**
 * Consecutive parts of an axis: a number of equal ones, or their sizes. An open axis splits into equal parts only.
 *
 * @example
 * const [q, k, v] = split(x, 3, { axis: -1 })
 */
export function split(x: Tensor, parts: number | readonly number[], { axis }: { axis: number }): Tensor[] {
  const at = axisOf('split', axis, x.shape.length)
  const size = x.shape[at]!
  const equal = typeof parts === 'number'
  const sizes = equal ? new Array<number>(parts).fill(size / parts) : parts
  if (!sizes.every(Number.isInteger) || sizes.reduce((sum, part) => sum + part, 0) !== size) {
    throw new RangeError(
      `split: axis ${at} of ${show(x.shape)} has ${show([size])} elements, which ${equal ? `${parts} equal parts` : `parts of ${show(parts)}`} do not fill`,
    )
  }
  if (size < 0) {
    if (!equal)
      throw new RangeError(`split: axis ${at} of ${show(x.shape)} is open: split it into a number of equal parts`)
    const rows = reshape(x, [...x.shape.slice(0, at), parts, size / parts, ...x.shape.slice(at + 1)])
    return sizes.map((part, i) => reshape(slice(rows, { axis: at, start: i, end: i + 1 }), resized(x.shape, at, part)))
  }
  let start = 0
  return sizes.map(part => slice(x, { axis: at, start, end: (start += part) }))
}

const concatOperation: Operation<{ axis: number }> = {
  name: 'concat',
  infer: (inputs, { axis }) => {
    const [first] = inputs as [Tensor]
    for (const { shape, dtype } of inputs) {
      if (shape.length !== first.shape.length || !sameShape(resized(shape, axis, 1), resized(first.shape, axis, 1))) {
        throw new RangeError(
          `concat: ${show(first.shape)} and ${show(shape)} do not fit along axis ${axis}: all their other axes must be equal`,
        )
      }
      if (shape[axis]! < 0 !== first.shape[axis]! < 0) {
        throw new RangeError(
          `concat: axis ${axis} is open in one of ${show(first.shape)} and ${show(shape)}, closed in the other`,
        )
      }
      if (dtype !== first.dtype)
        throw new TypeError(`concat: dtypes ${first.dtype} and ${dtype} differ: cast one of them`)
    }
    const size = inputs.reduce((sum, t) => sum + t.shape[axis]!, 0)
    return { shape: resized(first.shape, axis, size), dtype: first.dtype }
  },
  evaluate: (inputs, { axis }, shape) => {
    const out = new Float64Array(sizeOf(shape))
    const { outer, size, inner } = around(shape, axis)
    let at = 0
    for (const { shape: part, data } of inputs) {
      const length = part[axis]! * inner
      for (let i = 0; i < outer; i++) out.set(data.subarray(i * length, (i + 1) * length), i * size * inner + at)
      at += length
    }
    return out
  },
  reorder: ({ axis }, order) => ({ axis: order.indexOf(axis) }),
  emit: (to, inputs, { attributes }) => to.node('Concat', inputs, { axis: attributes.axis }),
  gradient: (g, { inputs, attributes: { axis } }) => {
    const sizes = inputs.map(t => t.shape[axis]!)
    return split(g, sizes.every(size => size === sizes[0]) ? sizes.length : sizes, { axis })
  },
}

/** Tensors one after the other along an axis; all other axes must be equal. */
export function concat(tensors: readonly Tensor[], { axis }: { axis: number }): Tensor {
  const [first] = tensors
  if (first === undefined) throw new RangeError('concat: no tensors were given, wanted at least one')
  return tensors.length === 1
    ? first
    : apply(concatOperation, tensors, { axis: axisOf('concat', axis, first.shape.length) })
}

type Widths = readonly (readonly [number, number])[]

const padOperation: Operation<{ widths: Widths; value: number }> = {
  name: 'pad',
  infer: ([x], { widths }) => {
    if (widths.length !== x!.shape.length || widths.flat().some(width => !Number.isInteger(width) || width < 0)) {
      throw new RangeError(
        `pad: widths [${widths.map(pair => `[${pair}]`).join(', ')}] do not fit ${show(x!.shape)}: wanted one pair [before, after] of whole numbers from 0 up for each axis`,
      )
    }
    const openAxis = x!.shape.findIndex((size, i) => size < 0 && widths[i]!.some(width => width > 0))
    if (openAxis >= 0) throw new RangeError(`pad: axis ${openAxis} of ${show(x!.shape)} is open and cannot be padded`)
    return { shape: x!.shape.map((size, i) => size + widths[i]![0] + widths[i]![1]), dtype: x!.dtype }
  },
  evaluate: ([x], { widths, value }, shape) => {
    const out = new Float64Array(sizeOf(shape)).fill(value)
    const strides = stridesOf(shape)
    const base = widths.reduce((sum, [before], axis) => sum + before * strides[axis]!, 0)
    let i = 0
    forEachOffset(x!.shape, [strides], to => {
      out[base + to!] = x!.data[i++]!
    })
    return out
  },
  reorder: ({ widths, value }, order) => ({ widths: order.map(axis => widths[axis]!), value }),
  emit: (to, [x], { attributes: { widths, value }, dtype }) =>
    to.node('Pad', [
      x!,
      to.ints([...widths.map(([before]) => before), ...widths.map(([, after]) => after)]),
      to.constant(dtype, [], [value]),
    ]),
  gradient: (g, { inputs: [x], attributes: { widths } }) => [
    widths.reduce((part, [before], axis) => {
      const size = x!.shape[axis]!
      return size < 0 ? part : slice(part, { axis, start: before, end: before + size })
    }, g),
  ],
}

/** Puts `value` around a tensor: one pair [before, after] for each axis. */
export const pad = (x: Tensor, widths: Widths, { value = 0 }: { value?: number } = {}): Tensor =>
  widths.length === x.shape.length && widths.flat().every(width => width === 0)
    ? x
    : apply(padOperation, [x], { widths, value })

const flipOperation: Operation<{ axes: readonly number[] }> = {
  name: 'flip',
  infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
  evaluate: ([x], { axes }, shape) => {
    const strides = stridesOf(shape)
    const base = axes.reduce((sum, axis) => sum + (shape[axis]! - 1) * strides[axis]!, 0)
    const out = new Float64Array(sizeOf(shape))
    let i = 0
    forEachOffset(shape, [strides.map((stride, axis) => (axes.includes(axis) ? -stride : stride))], from => {
      out[i++] = x!.data[base + from!]!
    })
    return out
  },
  // An end before the first element, however long the axis: ONNX clamps it.
  emit: (to, [x], { attributes: { axes } }) =>
    to.node('Slice', [
      x!,
      to.ints(axes.map(() => -1)),
      to.ints(axes.map(() => -(2 ** 31) + 1)),
      to.ints(axes),
      to.ints(axes.map(() => -1)),
    ]),
  gradient: (g, { attributes }) => [flip(g, attributes.axes)],
}

/** Axes in reverse. */
export const flip = (x: Tensor, axes: readonly number[]): Tensor =>
  apply(flipOperation, [x], { axes: axes.map(axis => axisOf('flip', axis, x.shape.length)) })
