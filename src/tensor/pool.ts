import { and, equal, mul } from './binary.js'
import { expandTo, reshape } from './reshape.js'
import { type Shape, show, sizeOf } from './shape.js'
import { pad } from './slice.js'
import { apply, type Operation, type Tensor, type Value } from './tensor.js'
import { addAll, not } from './unary.js'
import { where } from './where.js'
import {
  type Padding,
  type Pair,
  paddingWidths,
  pair,
  tapOf,
  unpad,
  untap,
  type Window,
  windowedSize,
  windowOf,
} from './window.js'

type PoolAttributes = Window & { readonly kernel: readonly [number, number] }

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

const places = ([rows, columns]: readonly [number, number]): [number, number][] =>
  Array.from({ length: rows * columns }, (_, n) => [Math.floor(n / columns), n % columns])

const maxPoolOperation: Operation<PoolAttributes> = {
  name: 'maxPool2d',
  infer: ([x], attributes) => ({ shape: poolShape('maxPool2d', x!, attributes), dtype: x!.dtype }),
  evaluate: ([x], attributes, shape) => foldWindows(x!, shape, attributes, seen => Math.max(...seen)),
  emit: (to, inputs, { attributes }) => to.node('MaxPool', inputs, onnxAttributes(attributes)),
  gradient: (g, node) => {
    const { inputs, attributes, shape } = node
    const x = inputs[0]!
    const padded = pad(x, paddingWidths(attributes), { value: x.dtype === 'f16' ? -65504 : -3.4e38 })
    let free: Tensor | undefined
    const parts = places(attributes.kernel).map(([i, j]) => {
      const hit = equal(tapOf(padded, i, j, shape.slice(2), attributes), node as unknown as Tensor)
      const owner = free ? and(hit, free) : hit
      free = free ? and(free, not(hit)) : not(hit)
      return untap(where(owner, g, 0), i, j, padded.shape, attributes)
    })
    return [unpad(addAll(parts), x.shape, attributes)]
  },
}

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
    const spread = places(kernel).map(([i, j]) => untap(part, i, j, padded, attributes))
    return [unpad(addAll(spread), x!.shape, attributes)]
  },
}

/** Mean of each window over [batch, channels, height, width]; padding counts as zeros, as in torch. */
export const averagePool2d = (x: Tensor, options: PoolOptions): Tensor =>
  apply(averagePoolOperation, [x], attributesOf('averagePool2d', options))
