import { greaterOrEqual, maximum, mul } from './binary.js'
import { expandTo, reshape } from './reshape.js'
import { type Shape, show, sizeOf } from './shape.js'
import { pad, slice } from './slice.js'
import { apply, type Operation, type Tensor, type Value } from './tensor.js'
import { where } from './where.js'
import {
  type Padding,
  type Pair,
  paddingWidths,
  pair,
  unpad,
  untapAlong,
  type Window,
  windowedSize,
  windowOf,
} from './window.js'

export type PoolAttributes = Window & { readonly kernel: readonly [number, number] }

/** Size of the window, its stride (the size by default) and padding ([top, left, bottom, right]), in pixels. */
export interface PoolOptions {
  kernel: Pair
  stride?: Pair
  padding?: Padding
}

function attributesOf(op: string, { kernel, stride = kernel, padding = 0 }: PoolOptions): PoolAttributes {
  const size = pair(kernel)
  const window = windowOf(op, { stride, padding })
  if (window.padding.some((width, side) => width >= size[side % 2]!)) {
    throw new RangeError(`${op}: padding ${show(window.padding)} must be less than the window ${show(size)}`)
  }
  return { kernel: size, ...window }
}

function poolShape(op: string, { shape }: Tensor, attributes: PoolAttributes): Shape {
  if (shape.length !== 4) throw new RangeError(`${op}: x ${show(shape)}: wanted [batch, channels, height, width]`)
  return [shape[0]!, shape[1]!, ...windowedSize(op, shape, attributes.kernel, attributes)]
}

/** The definition of both: folds what each window sees, in row-major order; padding is not seen. */
function foldWindows(
  x: Value,
  shape: Shape,
  { kernel, stride, padding }: PoolAttributes,
  fold: (seen: number[]) => number,
): Float64Array {
  const [h, w] = x.shape.slice(2) as [number, number]
  const [oh, ow] = shape.slice(2) as [number, number]
  return Float64Array.from({ length: sizeOf(shape) }, (_, n) => {
    const image = Math.floor(n / (oh * ow)) * h * w
    const top = (Math.floor(n / ow) % oh) * stride[0] - padding[0]
    const left = (n % ow) * stride[1] - padding[1]
    const seen: number[] = []
    for (let y = Math.max(top, 0); y < Math.min(top + kernel[0], h); y++) {
      for (let z = Math.max(left, 0); z < Math.min(left + kernel[1], w); z++) seen.push(x.data[image + y * w + z]!)
    }
    return fold(seen)
  })
}

const onnxAttributes = ({ kernel, stride, padding }: PoolAttributes) => ({
  kernel_shape: kernel,
  strides: stride,
  pads: padding,
})

const maxPoolOperation: Operation<PoolAttributes> = {
  name: 'maxPool2d',
  infer: ([x], attributes) => ({ shape: poolShape('maxPool2d', x!, attributes), dtype: x!.dtype }),
  evaluate: ([x], attributes, shape) => foldWindows(x!, shape, attributes, seen => Math.max(...seen)),
  emit: (to, inputs, { attributes }) => to.node('MaxPool', inputs, onnxAttributes(attributes)),
  gradient: (g, { inputs: [x], attributes }) => {
    const { padded, rows } = maxima(x!, attributes)
    const toRows = extremeGradient(g, rows, { axis: 2, size: padded.shape[2]!, step: attributes.stride[0] })
    const columns = tapsAlong(padded, 3, attributes)
    const toPadded = extremeGradient(toRows, columns, { axis: 3, size: padded.shape[3]!, step: attributes.stride[1] })
    return [unpad(toPadded, x!.shape, attributes)]
  },
}

/** What each place of the kernel sees along one axis, at every place of the window. */
function tapsAlong(x: Tensor, axis: 2 | 3, { kernel, stride }: PoolAttributes): Tensor[] {
  const [taps, step] = [kernel[axis - 2]!, stride[axis - 2]!]
  const count = Math.floor((x.shape[axis]! - taps) / step) + 1
  return Array.from({ length: taps }, (_, tap) =>
    slice(x, { axis, start: tap, end: tap + (count - 1) * step + 1, step }),
  )
}

/** The padded image, and what the window's rows see of the largest elements of its columns. */
function maxima(x: Tensor, attributes: PoolAttributes): { padded: Tensor; rows: Tensor[] } {
  const padded = pad(x, paddingWidths(attributes), { value: x.dtype === 'f16' ? -65504 : -3.4e38 })
  const columns = tapsAlong(padded, 3, attributes).reduce((a, b) => maximum(a, b))
  return { padded, rows: tapsAlong(columns, 2, attributes) }
}

/** The gradient of the maximum of taps along an axis, at the places from which they were taken; of equal ones the first counts. */
function extremeGradient(
  g: Tensor,
  taps: readonly Tensor[],
  place: { axis: number; size: number; step: number },
): Tensor {
  const largest: Tensor[] = []
  for (const tap of taps) largest.push(largest.length === 0 ? tap : maximum(largest.at(-1)!, tap))
  const parts: Tensor[] = []
  let rest = g
  for (let i = taps.length - 1; i > 0; i--) {
    const earlier = greaterOrEqual(largest[i - 1]!, taps[i]!)
    parts.unshift(where(earlier, 0, rest))
    rest = where(earlier, rest, 0)
  }
  return untapAlong([rest, ...parts], place)
}

/** Max pooling as maxima of slices, first along rows and then along columns, in whatever layout the image lies. */
export const maxPoolBySlices = (x: Tensor, attributes: PoolAttributes): Tensor =>
  maxima(x, attributes).rows.reduce((a, b) => maximum(a, b))

/**
 * Largest element of each window over [batch, channels, height, width]; of equal ones the first owns the gradient. With
 * `ceil`, a window that begins inside the image but ends outside counts too, as in torch.
 */
export function maxPool2d(x: Tensor, { ceil = false, ...options }: PoolOptions & { ceil?: boolean }): Tensor {
  const attributes = attributesOf('maxPool2d', options)
  if (!ceil || x.shape.length !== 4) return apply(maxPoolOperation, [x], attributes)
  const { kernel, stride } = attributes
  const [top, left, bottom, right] = attributes.padding
  const after = [bottom, right].map((width, axis) => {
    const before = [top, left][axis]!
    const size = x.shape[axis + 2]!
    const count = Math.ceil((size + before + width - kernel[axis]!) / stride[axis]!) + 1
    const inside = (count - 1) * stride[axis]! < size + before ? count : count - 1
    return Math.max((inside - 1) * stride[axis]! + kernel[axis]! - size - before, 0)
  }) as [number, number]
  return apply(maxPoolOperation, [x], { ...attributes, padding: [top, left, ...after] })
}

const averagePoolOperation: Operation<PoolAttributes> = {
  name: 'averagePool2d',
  infer: ([x], attributes) => ({ shape: poolShape('averagePool2d', x!, attributes), dtype: x!.dtype }),
  evaluate: ([x], attributes, shape) => {
    const count = attributes.kernel[0] * attributes.kernel[1]
    return foldWindows(x!, shape, attributes, seen => seen.reduce((a, b) => a + b, 0) / count)
  },
  emit: (to, inputs, { attributes }) =>
    to.node('AveragePool', inputs, { ...onnxAttributes(attributes), count_include_pad: 1 }),
  gradient: (g, { inputs: [x], attributes }) => {
    const { kernel, stride, padding } = attributes
    const [n, c, h, w] = x!.shape as [number, number, number, number]
    const [oh, ow] = g.shape.slice(2) as [number, number]
    const part = mul(g, 1 / (kernel[0] * kernel[1]))
    if (kernel.every((size, i) => size === stride[i]) && padding.every(width => width === 0)) {
      const tiled = expandTo(reshape(part, [n, c, oh, 1, ow, 1]), [n, c, oh, kernel[0], ow, kernel[1]])
      const [rows, columns] = [oh * kernel[0], ow * kernel[1]]
      return [
        pad(reshape(tiled, [n, c, rows, columns]), [
          [0, 0],
          [0, 0],
          [0, h - rows],
          [0, w - columns],
        ]),
      ]
    }
    const padded = [n, c, h + padding[0] + padding[2], w + padding[1] + padding[3]]
    const everyTap = (t: Tensor, axis: 2 | 3): Tensor =>
      untapAlong(Array<Tensor>(kernel[axis - 2]!).fill(t), { axis, size: padded[axis]!, step: stride[axis - 2]! })
    return [unpad(everyTap(everyTap(part, 2), 3), x!.shape, attributes)]
  },
}

/** Mean of each window over [batch, channels, height, width]; padding counts as zeros, as in torch. */
export const averagePool2d = (x: Tensor, options: PoolOptions): Tensor =>
  apply(averagePoolOperation, [x], attributesOf('averagePool2d', options))
