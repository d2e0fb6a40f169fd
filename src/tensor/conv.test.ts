import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testOperation } from '../testing/operation.js'
import { conv2d, conv2dInputGradient, conv2dWeightGradient, convTranspose2d } from './conv.js'
import { evaluate } from './evaluate.js'
import { trace } from './program.js'
import { open } from './shape.js'
import { f32 } from './tensor.js'

const sizes = {
  n: [1, 2],
  groups: [1, 2],
  perGroup: [1, 2],
  out: [1, 2],
  kernelHeight: [1, 3],
  kernelWidth: [1, 3],
  height: [5, 6],
  width: [5, 7],
  strideY: [1, 3],
  strideX: [1, 2],
  top: [0, 1],
  bottom: [0, 2],
  dilation: [1, 2],
} as const

for (const bias of [true, false]) {
  testOperation(`conv2d ${bias ? 'with' : 'without'} bias`, sizes, (at, draw) => ({
    inputs: {
      x: draw.normal(at.n, at.groups * at.perGroup, at.height, at.width),
      weight: draw.normal(at.groups * at.out, at.perGroup, at.kernelHeight, at.kernelWidth),
      ...(bias && { bias: draw.normal(at.groups * at.out) }),
    },
    build: ({ x, weight, bias }) =>
      conv2d(x!, weight!, bias, {
        stride: [at.strideY, at.strideX],
        padding: [at.top, 0, at.bottom, 1],
        dilation: [1, at.dilation],
        groups: at.groups,
      }),
    batched: ['x'],
  }))
}
testOperation('convTranspose2d', { ...sizes, height: [2, 3], width: [2, 3], extra: [0, 2] }, (at, draw) => ({
  inputs: {
    x: draw.normal(at.n, at.groups * at.perGroup, at.height, at.width),
    weight: draw.normal(at.groups * at.perGroup, at.out, at.kernelHeight + 1, at.kernelWidth),
    bias: draw.normal(at.groups * at.out),
  },
  build: ({ x, weight, bias }) =>
    convTranspose2d(x!, weight!, bias, {
      stride: [at.strideY, at.strideX],
      padding: [at.top, 0, 0, 0],
      outputPadding: [Math.min(at.extra, at.strideY - 1), at.strideX - 1],
      dilation: [1, at.dilation],
      groups: at.groups,
    }),
  batched: ['x'],
}))

test('conv2d adds up what the kernel sees', () => {
  const { outputs } = trace({ x: f32(1, 1, 2, 3), weight: f32(1, 1, 2, 2) }, (_, { x, weight }) => conv2d(x, weight))
  const [value] = evaluate([outputs.output!], {
    x: { shape: [1, 1, 2, 3], data: Float64Array.of(1, 2, 3, 4, 5, 6) },
    weight: { shape: [1, 1, 2, 2], data: Float64Array.of(1, 10, 100, 1000) },
  })
  assert.deepEqual([...value!.data], [5421, 6532])
})

test('refuses what does not fit', () => {
  trace({ x: f32(2, 4, 8, 8), w: f32(6, 3, 3, 3), v: f32(6, 4, 3, 3), b: f32(5), o: f32(2, 4, open, 8) }, (_, t) => {
    const { x, w, v, b, o } = t
    assert.throws(
      () => conv2d(x, w),
      /conv2d: x \[2, 4, 8, 8\] has 4 channels, and weight \[6, 3, 3, 3\] in 1 group\(s\) takes 3/,
    )
    assert.throws(
      () => conv2d(x, b),
      /wanted \[batch, channels, height, width\] and \[out, in \/ groups, height, width\]/,
    )
    assert.throws(() => conv2d(x, v, b), /conv2d: bias \[5\] does not fit weight \[6, 4, 3, 3\]: wanted \[6\]/)
    assert.throws(
      () => conv2d(x, v, undefined, { dilation: 4 }),
      /a window of \[3, 3\] with dilation \[4, 4\] does not fit/,
    )
    assert.throws(() => conv2d(o, v), /must not be open/)
    assert.throws(
      () => conv2d(x, v, undefined, { stride: 0 }),
      /conv2d: stride \[0,0\]: wanted whole numbers from 1 up/,
    )
    assert.throws(
      () => conv2d(x, v, undefined, { padding: -1 }),
      /conv2d: padding \[-1,-1,-1,-1\]: wanted whole numbers from 0/,
    )
    assert.throws(() => conv2dInputGradient(x, v, [2, 4, 8, 8]), /wanted \[2, 6, 6, 6\]/)
    assert.throws(() => conv2dWeightGradient(x, x, [6, 4, 3, 3]), /wanted \[2, 6, 6, 6\]/)
    assert.throws(() => convTranspose2d(x, v), /convTranspose2d: x \[2, 4, 8, 8\] and weight \[6, 4, 3, 3\]/)
    return x
  })
})
