import { add } from '../../tensor/binary.js'
import { type ConvAttributes, conv2d } from '../../tensor/conv.js'
import { reshape, transpose } from '../../tensor/reshape.js'
import { type Shape, sizeOf } from '../../tensor/shape.js'
import { flip } from '../../tensor/slice.js'
import type { Tensor } from '../../tensor/tensor.js'
import type { Lowering } from '../lowering.js'
import type { Target } from '../target.js'
import { type BilinearAxis, type ConvAxis, directAxis, reversedAxis, winogradAxis } from './bilinear-axis.js'
import {
  type BilinearConv,
  bilinearForward,
  bilinearInputGradient,
  bilinearReversed,
  bilinearWeightGradient,
} from './bilinear-conv.js'
import { blockedConv, hasBlocks } from './blocked-conv.js'
import { pointwiseForward, pointwiseInputGradient, pointwiseWeightGradient, weightGradientByRows } from './planes.js'
import { isThinAndLong } from './thin-and-long.js'

/** The three operations of a convolution, seen alike: shapes of image, weight and result. */
interface ConvShapes {
  readonly image: Shape
  readonly weight: Shape
  readonly result: Shape
  readonly attributes: ConvAttributes
}

function shapesOf({ op, inputs, shape, attributes }: Tensor): ConvShapes {
  const [a, b] = inputs.map(t => t.shape) as [Shape, Shape]
  const conv = attributes as ConvAttributes
  if (op.name === 'conv2d') return { image: a, weight: b, result: shape, attributes: conv }
  if (op.name === 'conv2dInputGradient') return { image: shape, weight: b, result: a, attributes: conv }
  return { image: a, weight: shape, result: b, attributes: conv }
}

const axesOf = ({ image, weight, result, attributes }: ConvShapes): [ConvAxis, ConvAxis] =>
  [0, 1].map(i => ({
    input: image[i + 2]!,
    output: result[i + 2]!,
    taps: weight[i + 2]!,
    stride: attributes.stride[i]!,
    dilation: attributes.dilation[i]!,
    before: attributes.padding[i]!,
  })) as [ConvAxis, ConvAxis]

const isWinograd = ({ weight, attributes: { stride, dilation } }: ConvShapes): boolean =>
  weight[2] === 3 && weight[3] === 3 && [...stride, ...dilation].every(n => n === 1)

/** Convolutions of the same sizes share their matrices. */
const known = new Map<string, BilinearConv>()

function algorithmFor(name: string, axes: readonly [ConvAxis, ConvAxis], make: (axis: ConvAxis) => BilinearAxis) {
  const key = `${name}/${axes.map(axis => Object.values(axis).join()).join('/')}`
  const found = known.get(key) ?? { height: make(axes[0]), width: make(axes[1]) }
  known.set(key, found)
  return found
}

/** The operation by a bilinear algorithm for each axis. */
function rewriteBy(node: Tensor, name: string, algorithm: (axis: ConvAxis) => BilinearAxis): Tensor {
  const shapes = shapesOf(node)
  const axes = axesOf(shapes)
  const [a, b, bias] = node.inputs as [Tensor, Tensor, Tensor?]
  if (node.op.name === 'conv2dInputGradient' && axes.every(axis => axis.stride === 1)) {
    const [height, width] = axes.map(reversedAxis) as [ConvAxis, ConvAxis]
    return bilinearReversed(a, b, algorithmFor(name, [height, width], algorithm))
  }
  const conv = algorithmFor(name, axes, algorithm)
  if (node.op.name === 'conv2dInputGradient') return bilinearInputGradient(a, b, conv)
  if (node.op.name === 'conv2dWeightGradient') {
    return bilinearWeightGradient(a, b, shapes.weight.slice(2) as [number, number], conv)
  }
  return biased(bilinearForward(a, b, conv), bias)
}

const biased = (y: Tensor, bias: Tensor | undefined): Tensor =>
  bias ? add(y, reshape(bias, [bias.shape[0]!, 1, 1])) : y

/** With weights that are part of the model the runtime's own convolution has its fastest layout already. */
const trainsOnCpu = ({ device, training }: Target): boolean => training && device !== 'webgpu'

const operations = ['conv2d', 'conv2dInputGradient', 'conv2dWeightGradient']

/** With fewer channels than this on a side the products of tiles are too thin to pay for making the tiles. */
const fewChannels = 16
/** A tap's pixels are picked by a product with a matrix of zeros and ones, which grows with the image's side. */
const longestSide = 16

function isWide(node: Tensor): boolean {
  const [out, channels] = shapesOf(node).weight as [number, number]
  return Math.min(out, channels) >= fewChannels
}

/** Products of numbers for every 3x3 tap below which Winograd's algorithm gains too little to give up precision for it. */
const enoughProducts = 2 ** 24

function isLarge(node: Tensor): boolean {
  const { weight, result } = shapesOf(node)
  return Math.abs(sizeOf(result)) * weight[1]! >= enoughProducts
}

function staysPlain(node: Tensor): boolean {
  const { image, weight } = shapesOf(node)
  return isThinAndLong(Math.min(weight[0]!, weight[1]!), image.slice(2))
}

/** Fewest products: 36 instead of 144 for 16 pixels. Relative error about 1e-5 (F2: 5e-7). */
const winograd = (outputs: 2 | 4): Lowering[] =>
  operations.map(op => ({
    op,
    name: `winograd${outputs}`,
    fits: (node, target) =>
      trainsOnCpu(target) &&
      node.dtype === 'f32' &&
      isWinograd(shapesOf(node)) &&
      (node.attributes as ConvAttributes).groups === 1,
    pays: node => outputs === 4 && isLarge(node) && isWide(node) && !staysPlain(node),
    rewrite: node => rewriteBy(node, `winograd${outputs}`, axis => winogradAxis(outputs, axis)),
  }))

function isPointwise(node: Tensor): boolean {
  const { weight } = shapesOf(node)
  return weight[2] === 1 && weight[3] === 1
}

const isSmall = (node: Tensor): boolean => Math.max(...shapesOf(node).image.slice(2)) <= longestSide

/** One product of matrices for each tap, in the same layout. What neither this nor Winograd suits is the runtime's own convolution. */
const taps: Lowering[] = operations.map(op => ({
  op,
  name: 'taps',
  fits: (node, target) => trainsOnCpu(target) && (node.attributes as ConvAttributes).groups === 1,
  pays: node => isPointwise(node) || (isSmall(node) && isWide(node)),
  rewrite: node => rewriteBy(node, 'taps', directAxis),
}))

const isPlainPointwise = (node: Tensor): boolean => {
  const { stride, padding } = node.attributes as ConvAttributes
  return isPointwise(node) && [...stride, ...padding.map(width => width + 1)].every(n => n === 1)
}

/** Products over the pixels of an image as the runtime's convolution has it, which need no other layout. */
const planes: Lowering[] = operations.map(op => ({
  op,
  name: 'planes',
  fits: (node, target) => {
    const { groups, stride } = node.attributes as ConvAttributes
    const byRows = op === 'conv2dWeightGradient' && stride[1] === 1
    return trainsOnCpu(target) && target.contrib && groups === 1 && (byRows || isPlainPointwise(node))
  },
  pays: staysPlain,
  rewrite: node => {
    const [a, b, bias] = node.inputs as [Tensor, Tensor, Tensor?]
    if (op === 'conv2d') return biased(pointwiseForward(a, b), bias)
    if (op === 'conv2dInputGradient') return pointwiseInputGradient(a, b)
    if (isPlainPointwise(node)) return pointwiseWeightGradient(a, b)
    return weightGradientByRows(a, b, node.shape, node.attributes as ConvAttributes)
  },
}))

/** Padding [top, left, bottom, right] with which the kernel turned round gives the image's gradient at stride 1. */
function turnedPadding(node: Tensor): [number, number, number, number] {
  const { image, weight, result, attributes } = shapesOf(node)
  const sides = axesOf(shapesOf(node)).map((axis, i) => {
    const extent = attributes.dilation[i]! * (weight[i + 2]! - 1)
    const { before } = reversedAxis(axis)
    return [before, image[i + 2]! + extent - result[i + 2]! - before] as const
  })
  return [sides[0]![0], sides[1]![0], sides[0]![1], sides[1]![1]]
}

/** The gradient of the image at stride 1 as the runtime's convolution with the kernel turned round, which beats its transposed one. */
const turned: Lowering = {
  op: 'conv2dInputGradient',
  name: 'turned',
  fits: (node, target) => {
    const { stride, groups } = node.attributes as ConvAttributes
    const plain = groups === 1 && stride.every(n => n === 1)
    return trainsOnCpu(target) && plain && turnedPadding(node).every(width => width >= 0)
  },
  rewrite: (node, target) => {
    const [g, weight] = node.inputs as [Tensor, Tensor]
    const { dilation } = node.attributes as ConvAttributes
    const kernel = transpose(flip(weight, [2, 3]), [1, 0, 2, 3])
    const conv = conv2d(g, kernel, undefined, { dilation, padding: turnedPadding(node) })
    return hasBlocks(conv, target) ? blockedConv(conv, target.channelBlock!) : conv
  },
}

/** The runtime's own convolution in the layout that its optimiser gives to one with constant weights. */
const blocks: Lowering = {
  op: 'conv2d',
  name: 'blocks',
  fits: (node, target) => trainsOnCpu(target) && hasBlocks(node, target),
  rewrite: (node, target) => blockedConv(node, target.channelBlock!),
}

export const convLowerings: readonly Lowering[] = [...planes, ...winograd(4), ...winograd(2), ...taps, blocks, turned]
