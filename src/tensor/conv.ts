import { add } from './binary.js'
import { emitExpression } from './expression.js'
import { matmul } from './matmul.js'
import { sum } from './reduce.js'
import { reshape, transpose } from './reshape.js'
import { type Shape, sameShape, show, sizeOf } from './shape.js'
import { concat, pad } from './slice.js'
import { apply, type Operation, type Tensor } from './tensor.js'
import { type Padding, type Pair, paddingWidths, pair, tapOf, type Window, windowedSize, windowOf } from './window.js'

/** Stride, padding ([top, left, bottom, right]) and dilation in pixels; groups of channels that do not see each other. */
export interface ConvOptions {
  stride?: Pair
  padding?: Padding
  dilation?: Pair
  groups?: number
}

/** Options with every number written out: what the operations carry. */
export type ConvAttributes = Window & { readonly groups: number }

const attributesOf = (op: string, options: ConvOptions): ConvAttributes => ({
  ...windowOf(op, options),
  groups: options.groups ?? 1,
})

/** Shape of a convolution's result; refuses what does not fit. */
function convShape(op: string, x: Shape, weight: Shape, attributes: ConvAttributes): Shape {
  const { groups } = attributes
  if (x.length !== 4 || weight.length !== 4) {
    throw new RangeError(
      `${op}: x ${show(x)} and weight ${show(weight)}: wanted [batch, channels, height, width] and [out, in / groups, height, width]`,
    )
  }
  if (!(Number.isInteger(groups) && groups > 0 && weight[0]! % groups === 0) || x[1] !== weight[1]! * groups) {
    throw new RangeError(
      `${op}: x ${show(x)} has ${x[1]} channels, and weight ${show(weight)} in ${groups} group(s) takes ${weight[1]! * groups} and gives ${weight[0]}: the first two must be equal, and groups divide the third`,
    )
  }
  return [x[0]!, weight[0]!, ...windowedSize(op, x, weight.slice(2) as [number, number], attributes)]
}

function sameDtype(op: string, tensors: readonly Tensor[]): void {
  const other = tensors.find(t => t.dtype !== tensors[0]!.dtype)
  if (other) throw new TypeError(`${op}: dtypes ${tensors[0]!.dtype} and ${other.dtype} differ: cast one of them`)
}

/** Calls `visit` with the offsets into x, weight and result of every product that a convolution adds up. */
function forEachProduct(
  [n, c, h, w]: Shape,
  [o, perGroup, kh, kw]: Shape,
  [, , oh, ow]: Shape,
  { stride, padding, dilation, groups }: ConvAttributes,
  visit: (x: number, weight: number, out: number) => void,
): void {
  for (let b = 0; b < n!; b++) {
    for (let f = 0; f < o!; f++) {
      const first = Math.floor((f * groups) / o!) * perGroup!
      for (let k = 0; k < perGroup!; k++) {
        const image = (b * c! + first + k) * h!
        const kernel = (f * perGroup! + k) * kh!
        for (let i = 0; i < kh!; i++) {
          for (let j = 0; j < kw!; j++) {
            for (let y = 0; y < oh!; y++) {
              const row = y * stride[0] - padding[0] + i * dilation[0]
              if (row < 0 || row >= h!) continue
              for (let z = 0; z < ow!; z++) {
                const column = z * stride[1] - padding[1] + j * dilation[1]
                if (column < 0 || column >= w!) continue
                visit((image + row) * w! + column, (kernel + i) * kw! + j, ((b * o! + f) * oh! + y) * ow! + z)
              }
            }
          }
        }
      }
    }
  }
}

const onnxAttributes = (weight: Shape, { stride, padding, dilation, groups }: ConvAttributes) => ({
  kernel_shape: weight.slice(2),
  strides: stride,
  pads: padding,
  dilations: dilation,
  group: groups,
})

const convOperation: Operation<ConvAttributes> = {
  name: 'conv2d',
  infer: (inputs, attributes) => {
    const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor?]
    sameDtype('conv2d', inputs)
    const shape = convShape('conv2d', x.shape, weight.shape, attributes)
    if (bias && !sameShape(bias.shape, [shape[1]!])) {
      throw new RangeError(
        `conv2d: bias ${show(bias.shape)} does not fit weight ${show(weight.shape)}: wanted [${shape[1]}]`,
      )
    }
    return { shape, dtype: x.dtype }
  },
  evaluate: ([x, weight, bias], attributes, shape) => {
    const out = new Float64Array(sizeOf(shape))
    if (bias) {
      const pixels = shape[2]! * shape[3]!
      for (let i = 0; i < out.length; i++) out[i] = bias.data[Math.floor(i / pixels) % shape[1]!]!
    }
    forEachProduct(x!.shape, weight!.shape, shape, attributes, (i, k, o) => {
      out[o]! += x!.data[i]! * weight!.data[k]!
    })
    return out
  },
  emit: (to, inputs, { inputs: [, weight], attributes }) =>
    to.node('Conv', inputs, onnxAttributes(weight!.shape, attributes)),
  gradient: (g, { inputs: [x, weight], attributes }) => [
    conv2dInputGradient(g, weight!, x!.shape, attributes),
    conv2dWeightGradient(x!, g, weight!.shape, attributes),
    sum(g, { axes: [0, 2, 3] }),
  ],
}

/**
 * Convolution (cross-correlation) of images [batch, channels, height, width] with weight [out, channels / groups, height,
 * width]; bias [out] may be undefined. Throws RangeError where the shapes do not fit.
 *
 * @example
 * conv2d(x, weight, undefined, { stride: 2, padding: [0, 0, 1, 1] })   // the autoencoder's downsampling
 */
export const conv2d = (x: Tensor, weight: Tensor, bias?: Tensor, options: ConvOptions = {}): Tensor =>
  apply(convOperation, bias ? [x, weight, bias] : [x, weight], attributesOf('conv2d', options))

const inputGradientOperation: Operation<ConvAttributes & { readonly inputShape: Shape }> = {
  name: 'conv2dInputGradient',
  infer: (inputs, attributes) => {
    const [g, weight] = inputs as [Tensor, Tensor]
    sameDtype('conv2dInputGradient', inputs)
    const wanted = convShape('conv2dInputGradient', attributes.inputShape, weight.shape, attributes)
    fits('conv2dInputGradient', g.shape, wanted, attributes.inputShape, weight.shape)
    return { shape: attributes.inputShape, dtype: g.dtype }
  },
  evaluate: ([g, weight], attributes, shape) => {
    const out = new Float64Array(sizeOf(shape))
    forEachProduct(shape, weight!.shape, g!.shape, attributes, (i, k, o) => {
      out[i]! += g!.data[o]! * weight!.data[k]!
    })
    return out
  },
  emit: (to, inputs, { inputs: [g, weight], attributes, shape }) =>
    to.node('ConvTranspose', inputs, {
      ...onnxAttributes(weight!.shape, attributes),
      output_padding: [0, 1].map(axis => shape[axis + 2]! - transposedSize(axis, g!.shape, weight!.shape, attributes)),
    }),
  gradient: (h, { inputs: [g, weight], attributes }) => [
    conv2d(h, weight!, undefined, attributes),
    conv2dWeightGradient(h, g!, weight!.shape, attributes),
  ],
}

function fits(op: string, g: Shape, wanted: Shape, x: Shape, weight: Shape): void {
  if (!sameShape(g, wanted)) {
    throw new RangeError(
      `${op}: a gradient ${show(g)} does not fit the convolution of ${show(x)} with ${show(weight)}: wanted ${show(wanted)}`,
    )
  }
}

/** Size of a spatial axis of a transposed convolution without output padding. */
const transposedSize = (axis: number, x: Shape, weight: Shape, { stride, padding, dilation }: ConvAttributes): number =>
  (x[axis + 2]! - 1) * stride[axis]! +
  dilation[axis]! * (weight[axis + 2]! - 1) +
  1 -
  padding[axis]! -
  padding[axis + 2]!

/** Gradient of conv2d with respect to its images, which have `inputShape`; `g` is the gradient of its result. */
export const conv2dInputGradient = (g: Tensor, weight: Tensor, inputShape: Shape, options: ConvOptions = {}): Tensor =>
  apply(inputGradientOperation, [g, weight], { ...attributesOf('conv2dInputGradient', options), inputShape })

const weightGradientOperation: Operation<ConvAttributes & { readonly weightShape: Shape }> = {
  name: 'conv2dWeightGradient',
  infer: (inputs, attributes) => {
    const [x, g] = inputs as [Tensor, Tensor]
    sameDtype('conv2dWeightGradient', inputs)
    const wanted = convShape('conv2dWeightGradient', x.shape, attributes.weightShape, attributes)
    fits('conv2dWeightGradient', g.shape, wanted, x.shape, attributes.weightShape)
    return { shape: attributes.weightShape, dtype: x.dtype }
  },
  evaluate: ([x, g], attributes, shape) => {
    const out = new Float64Array(sizeOf(shape))
    forEachProduct(x!.shape, shape, g!.shape, attributes, (i, k, o) => {
      out[k]! += x!.data[i]! * g!.data[o]!
    })
    return out
  },
  emit: (to, inputs, node) =>
    emitExpression(to, inputs, node, (x, g) => conv2dWeightGradientBySlices(x!, g!, node.shape, node.attributes)),
  gradient: (h, { inputs: [x, g], attributes }) => [
    conv2dInputGradient(g!, h, x!.shape, attributes),
    conv2d(x!, h, undefined, attributes),
  ],
}

/** Gradient of conv2d with respect to its weight, which has `weightShape`; `g` is the gradient of its result. */
export const conv2dWeightGradient = (x: Tensor, g: Tensor, weightShape: Shape, options: ConvOptions = {}): Tensor =>
  apply(weightGradientOperation, [x, g], { ...attributesOf('conv2dWeightGradient', options), weightShape })

/**
 * conv2dWeightGradient as products of matrices: for each place in the kernel, what it sees of the images times the
 * gradient, summed over images and pixels.
 */
export function conv2dWeightGradientBySlices(
  x: Tensor,
  g: Tensor,
  weightShape: Shape,
  options: ConvOptions = {},
): Tensor {
  const attributes = attributesOf('conv2dWeightGradient', options)
  const [o, perGroup, kh, kw] = weightShape as [number, number, number, number]
  const { groups } = attributes
  const size = g.shape.slice(2)
  const pixels = g.shape[0]! * size[0]! * size[1]!
  // [groups, channels, pixels of all images]
  const rows = (t: Tensor, channels: number) => reshape(transpose(t, [1, 0, 2, 3]), [groups, channels, pixels])
  const padded = pad(x, paddingWidths(attributes))
  const left = rows(g, o / groups)
  const products: Tensor[] = []
  for (let i = 0; i < kh; i++) {
    for (let j = 0; j < kw; j++) {
      const seen = rows(tapOf(padded, i, j, size, attributes), perGroup)
      products.push(reshape(matmul(left, transpose(seen)), [o, perGroup, 1]))
    }
  }
  return reshape(concat(products, { axis: 2 }), weightShape)
}

/** Options of a transposed convolution; outputPadding adds rows and columns at the bottom and right. */
export interface ConvTransposeOptions extends ConvOptions {
  outputPadding?: Pair
}

/**
 * Transposed convolution of images [batch, channels, height, width] with weight [channels, out / groups, height, width];
 * bias [out] may be undefined. Throws RangeError where the shapes do not fit.
 */
export function convTranspose2d(
  x: Tensor,
  weight: Tensor,
  bias?: Tensor,
  { outputPadding = 0, ...options }: ConvTransposeOptions = {},
): Tensor {
  const attributes = attributesOf('convTranspose2d', options)
  if (x.shape.length !== 4 || weight.shape.length !== 4 || x.shape[1] !== weight.shape[0]) {
    throw new RangeError(
      `convTranspose2d: x ${show(x.shape)} and weight ${show(weight.shape)}: wanted [batch, channels, height, width] and [channels, out / groups, height, width] with the same channels`,
    )
  }
  const channels = weight.shape[1]! * attributes.groups
  const extra = pair(outputPadding)
  const size = [0, 1].map(axis => transposedSize(axis, x.shape, weight.shape, attributes) + extra[axis]!)
  if (extra.some((n, axis) => n < 0 || n >= attributes.stride[axis]!)) {
    throw new RangeError(
      `convTranspose2d: outputPadding ${show(extra)} must be at least 0 and below the stride ${show(attributes.stride)}`,
    )
  }
  const out = conv2dInputGradient(x, weight, [x.shape[0]!, channels, ...size], attributes)
  if (bias === undefined) return out
  if (!sameShape(bias.shape, [channels])) {
    throw new RangeError(
      `convTranspose2d: bias ${show(bias.shape)} does not fit weight ${show(weight.shape)}: wanted [${channels}]`,
    )
  }
  return add(out, reshape(bias, [channels, 1, 1]))
}
