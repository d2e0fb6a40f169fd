import { add, div, mul, sub } from './binary.js'
import { constant, constantData } from './constant.js'
import { stopGradient } from './control.js'
import { max, mean, sum, sumTo } from './reduce.js'
import { reshape } from './reshape.js'
import { around, axisOf, type Shape, sameShape, show, sizeOf } from './shape.js'
import { apply, type Operation, type Tensor, type Value } from './tensor.js'
import { exp, log, neg, sqrt, square } from './unary.js'

const softmaxOperation: Operation<{ axis: number }> = {
  name: 'softmax',
  infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
  evaluate: ([x], { axis }, shape) => {
    const { outer, size, inner } = around(shape, axis)
    const out = new Float64Array(x!.data.length)
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const at = (k: number) => (o * size + k) * inner + i
        let largest = -Infinity
        for (let k = 0; k < size; k++) largest = Math.max(largest, x!.data[at(k)]!)
        let total = 0
        for (let k = 0; k < size; k++) total += out[at(k)] = Math.exp(x!.data[at(k)]! - largest)
        for (let k = 0; k < size; k++) out[at(k)]! /= total
      }
    }
    return out
  },
  reorder: ({ axis }, order) => ({ axis: order.indexOf(axis) }),
  emit: (to, inputs, { attributes }) => to.node('Softmax', inputs, { axis: attributes.axis }),
  gradient: (g, node) => [softmaxGradient(g, node as Tensor, node.attributes.axis)],
}

/** Gradient of a softmax from that of its result and the result itself. */
export function softmaxGradient(g: Tensor, result: Tensor, axis: number): Tensor {
  return mul(result, sub(g, sum(mul(g, result), { axes: axis, keep: true })))
}

/** Exponentials along an axis (the last by default), divided by their sum. */
export const softmax = (x: Tensor, { axis = -1 }: { axis?: number } = {}): Tensor =>
  apply(softmaxOperation, [x], { axis: axisOf('softmax', axis, x.shape.length) })

/** Logarithm of the softmax along an axis (the last by default). */
export function logSoftmax(x: Tensor, { axis = -1 }: { axis?: number } = {}): Tensor {
  const shifted = sub(x, stopGradient(max(x, { axes: axis, keep: true })))
  return sub(shifted, log(sum(exp(shifted), { axes: axis, keep: true })))
}

const ones = (x: Tensor, size: number): Tensor => constant(new Float32Array(size).fill(1), [size], x.dtype)
const zeros = (x: Tensor, size: number): Tensor => constant(new Float32Array(size), [size], x.dtype)

function isAll(t: Tensor, value: number): boolean {
  const data = constantData(t)
  return data !== undefined && Array.from(data).every(x => x === value)
}

function checkAffine(op: string, size: number, [x, weight, bias]: readonly Tensor[]): void {
  for (const [name, t] of Object.entries({ weight, bias })) {
    if (!sameShape(t!.shape, [size])) {
      throw new RangeError(`${op}: ${name} ${show(t!.shape)} does not fit x ${show(x!.shape)}: wanted [${size}]`)
    }
    if (t!.dtype !== x!.dtype) throw new TypeError(`${op}: x is ${x!.dtype} and ${name} ${t!.dtype}: cast one of them`)
  }
}

/** Mean and inverse standard deviation over axes, which stay as axes of size 1. The variance is the biased one. */
function statistics(
  x: Tensor,
  axes: readonly number[],
  epsilon: number,
): { mean: Tensor; inverse: Tensor; variance: Tensor } {
  const average = mean(x, { axes, keep: true })
  const variance = mean(square(sub(x, average)), { axes, keep: true })
  return { mean: average, variance, inverse: div(1, sqrt(add(variance, epsilon))) }
}

/** Definition of layer and group normalisation: runs of `length` elements to mean 0 and variance 1, then weight and bias. */
function normalizeRuns(x: Value, length: number, epsilon: number, affine: (value: number, index: number) => number) {
  const out = new Float64Array(x.data.length)
  for (let start = 0; start < out.length; start += length) {
    const run = x.data.subarray(start, start + length)
    const average = run.reduce((sum, v) => sum + v, 0) / length
    const variance = run.reduce((sum, v) => sum + (v - average) ** 2, 0) / length
    run.forEach((v, i) => {
      out[start + i] = affine((v - average) / Math.sqrt(variance + epsilon), start + i)
    })
  }
  return out
}

const layerNormOperation: Operation<{ epsilon: number }> = {
  name: 'layerNorm',
  infer: inputs => {
    const [x] = inputs as [Tensor]
    if (x.shape.length === 0 || x.shape.at(-1)! < 0) {
      throw new RangeError(`layerNorm: x ${show(x.shape)} wants a last axis that is not open`)
    }
    checkAffine('layerNorm', x.shape.at(-1)!, inputs)
    return { shape: x.shape, dtype: x.dtype }
  },
  evaluate: ([x, weight, bias], { epsilon }, shape) => {
    const size = shape.at(-1)!
    return normalizeRuns(x!, size, epsilon, (v, i) => v * weight!.data[i % size]! + bias!.data[i % size]!)
  },
  emit: (to, inputs, { attributes }) =>
    to.node('LayerNormalization', inputs, { axis: -1, epsilon: { float: attributes.epsilon } }),
  gradient: (g, { inputs, attributes: { epsilon } }) => {
    const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor]
    const last = [x.shape.length - 1]
    const average = (t: Tensor) => mean(t, { axes: last, keep: true })
    const { mean: centre, inverse } = statistics(x, last, epsilon)
    const normal = mul(sub(x, centre), inverse)
    const inner = mul(g, weight)
    return [
      mul(inverse, sub(sub(inner, average(inner)), mul(normal, average(mul(inner, normal))))),
      sumTo(mul(g, normal), weight.shape),
      sumTo(g, bias.shape),
    ]
  },
}

/** Normalises each row of the last axis to mean 0 and variance 1, then multiplies by weight and adds bias ([size] each). */
export function layerNorm(
  x: Tensor,
  weight?: Tensor,
  bias?: Tensor,
  { epsilon = 1e-5 }: { epsilon?: number } = {},
): Tensor {
  const size = x.shape.at(-1) ?? 0
  return apply(layerNormOperation, [x, weight ?? ones(x, size), bias ?? zeros(x, size)], { epsilon })
}

type GroupNormAttributes = { readonly groups: number; readonly epsilon: number }

/** [batch, groups, channels of a group, pixels] of an image [batch, channels, ...]. */
const groupedShape = ([n, c, ...pixels]: Shape, groups: number): Shape => [n!, groups, c! / groups, sizeOf(pixels)]

const groupNormOperation: Operation<GroupNormAttributes> = {
  name: 'groupNorm',
  infer: (inputs, { groups }) => {
    const [x] = inputs as [Tensor]
    if (x.shape.length < 2 || x.shape.slice(1).some(size => size < 0) || !(groups > 0) || x.shape[1]! % groups !== 0) {
      throw new RangeError(
        `groupNorm: x ${show(x.shape)} in ${groups} groups: wanted [batch, channels, ...] with channels that ${groups} divides`,
      )
    }
    checkAffine('groupNorm', x.shape[1]!, inputs)
    return { shape: x.shape, dtype: x.dtype }
  },
  evaluate: ([x, weight, bias], { groups, epsilon }, shape) => {
    const [, , perGroup, pixels] = groupedShape(shape, groups) as [number, number, number, number]
    const channel = (i: number) => Math.floor(i / pixels) % shape[1]!
    return normalizeRuns(
      x!,
      perGroup * pixels,
      epsilon,
      (v, i) => v * weight!.data[channel(i)]! + bias!.data[channel(i)]!,
    )
  },
  emit: (to, [x, weight, bias], { inputs, shape, dtype, attributes: { groups, epsilon } }) => {
    const [n, , perGroup, pixels] = groupedShape(shape, groups) as [number, number, number, number]
    const perChannel = [shape[1]!, ...shape.slice(2).map(() => 1)]
    const filled = (value: number) => to.constant(dtype, [groups], new Float32Array(groups).fill(value))
    const rows = to.node('Reshape', [x!, to.reshapeTo([n, groups, perGroup * pixels])])
    const normal = to.node('InstanceNormalization', [rows, filled(1), filled(0)], { epsilon: { float: epsilon } })
    const image = to.node('Reshape', [normal, to.reshapeTo(shape)])
    if (isAll(inputs[1]!, 1) && isAll(inputs[2]!, 0)) return image
    const scaled = to.node('Mul', [image, to.node('Reshape', [weight!, to.reshapeTo(perChannel)])])
    return to.node('Add', [scaled, to.node('Reshape', [bias!, to.reshapeTo(perChannel)])])
  },
  gradient: (g, { inputs, attributes: { groups, epsilon } }) => groupNormGradient(g, inputs, groups, epsilon),
}

/**
 * Every sum over pixels is a sum per channel, so that two passes over the images serve all three gradients, and the
 * gradient of x is a g + b x + c with a, b and c constant over a channel's pixels.
 */
function groupNormGradient(g: Tensor, inputs: readonly Tensor[], groups: number, epsilon: number): Tensor[] {
  const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor]
  const shape = groupedShape(x.shape, groups)
  const [, , perGroup, pixels] = shape as [number, number, number, number]
  const [images, gradients] = [reshape(x, shape), reshape(g, shape)]
  const scale = reshape(weight, [groups, perGroup, 1])
  const { mean: centre, inverse } = statistics(images, [2, 3], epsilon)
  const overPixels = (t: Tensor) => sum(t, { axes: 3, keep: true })
  const overGroup = (t: Tensor) => mul(sum(mul(t, scale), { axes: 2, keep: true }), 1 / (perGroup * pixels))
  const perChannel = overPixels(gradients)
  const perChannelNormal = mul(inverse, sub(overPixels(mul(gradients, images)), mul(centre, perChannel)))
  const a = mul(inverse, scale)
  const b = neg(mul(square(inverse), overGroup(perChannelNormal)))
  const c = neg(add(mul(centre, b), mul(inverse, overGroup(perChannel))))
  return [
    reshape(add(add(mul(gradients, a), mul(images, b)), c), x.shape),
    reshape(sum(perChannelNormal, { axes: 0 }), weight.shape),
    reshape(sum(perChannel, { axes: 0 }), bias.shape),
  ]
}

/**
 * Normalises groups of channels of [batch, channels, ...] to mean 0 and variance 1, then multiplies each channel by its
 * weight and adds its bias ([channels] each).
 */
export const groupNorm = (
  x: Tensor,
  groups: number,
  weight?: Tensor,
  bias?: Tensor,
  { epsilon = 1e-5 }: { epsilon?: number } = {},
): Tensor =>
  apply(groupNormOperation, [x, weight ?? ones(x, x.shape[1] ?? 0), bias ?? zeros(x, x.shape[1] ?? 0)], {
    groups,
    epsilon,
  })

/**
 * groupNorm by reductions: one multiplication and one addition per pixel, and statistics that a program which also takes
 * gradients computes once for both.
 */
export function groupNormByReductions(
  x: Tensor,
  groups: number,
  weight: Tensor,
  bias: Tensor,
  epsilon: number,
): Tensor {
  const shape = groupedShape(x.shape, groups)
  const perChannel = [groups, shape[2]!, 1]
  const images = reshape(x, shape)
  const { mean: centre, inverse } = statistics(images, [2, 3], epsilon)
  const scale = mul(inverse, reshape(weight, perChannel))
  return reshape(add(mul(images, scale), sub(reshape(bias, perChannel), mul(centre, scale))), x.shape)
}

/** A tensor of one number a channel, shaped to meet [batch, channels, ...]. */
const alongChannels = (t: Tensor, x: Tensor): Tensor => reshape(t, [x.shape[1]!, ...x.shape.slice(2).map(() => 1)])

/**
 * Normalises each channel of [batch, channels, ...] over the batch and all pixels; also gives the mean and the (biased)
 * variance of each channel, from which running statistics are kept. The batch must not be open.
 */
export function batchNorm(
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  { epsilon = 1e-5 }: { epsilon?: number } = {},
): { output: Tensor; mean: Tensor; variance: Tensor } {
  checkAffine('batchNorm', x.shape[1] ?? 0, [x, weight, bias])
  const axes = x.shape.flatMap((_, i) => (i === 1 ? [] : [i]))
  const { mean: centre, inverse, variance } = statistics(x, axes, epsilon)
  const normal = mul(sub(x, centre), inverse)
  return {
    output: add(mul(normal, alongChannels(weight, x)), alongChannels(bias, x)),
    mean: reshape(centre, weight.shape),
    variance: reshape(variance, weight.shape),
  }
}

/** batchNorm with the mean and variance of each channel given. */
export function batchNormInference(
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  average: Tensor,
  variance: Tensor,
  { epsilon = 1e-5 }: { epsilon?: number } = {},
): Tensor {
  checkAffine('batchNormInference', x.shape[1] ?? 0, [x, weight, bias])
  checkAffine('batchNormInference', x.shape[1] ?? 0, [x, average, variance])
  const scale = div(weight, sqrt(add(variance, epsilon)))
  return add(mul(x, alongChannels(scale, x)), alongChannels(sub(bias, mul(average, scale)), x))
}
