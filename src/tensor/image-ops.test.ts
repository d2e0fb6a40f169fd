import assert from 'node:assert/strict'
import { test } from 'node:test'
import { grad } from '../autodiff/grad.js'
import { testOperation } from '../testing/operation.js'
import { evaluate } from './evaluate.js'
import { averagePool2d, maxPool2d } from './pool.js'
import { trace } from './program.js'
import { sum } from './reduce.js'
import { resizeBilinear, resizeNearest } from './resize.js'
import { f32 } from './tensor.js'

const windows = {
  n: [1, 2],
  c: [1, 2],
  h: [4, 6],
  w: [4, 6],
  kernelY: [1, 3],
  kernelX: [2, 3],
  strideY: [1, 3],
  strideX: [1, 3],
  padding: [0, 1],
  ceil: [0, 1],
} as const
const optionsOf = (at: { [Name in keyof typeof windows]: number }) => ({
  kernel: [at.kernelY, at.kernelX] as const,
  stride: [at.strideY, at.strideX] as const,
  padding: [Math.min(at.padding, at.kernelY - 1), 0, 0, at.padding] as const,
})

testOperation('maxPool2d', windows, (at, draw) => ({
  inputs: { x: draw.distinct(at.n, at.c, at.h, at.w) },
  build: ({ x }) => maxPool2d(x!, { ...optionsOf(at), ceil: at.ceil === 1 }),
  batched: ['x'],
}))
testOperation('averagePool2d', windows, (at, draw) => ({
  inputs: { x: draw.normal(at.n, at.c, at.h, at.w) },
  build: ({ x }) => averagePool2d(x!, optionsOf(at)),
  batched: ['x'],
}))
testOperation('averagePool2d of tiles', windows, ({ n, c, h, w, kernelX }, draw) => ({
  inputs: { x: draw.normal(n, c, h, w) },
  build: ({ x }) => averagePool2d(x!, { kernel: [2, kernelX] }),
  batched: ['x'],
}))

const resizes = { n: [1, 2], c: [1, 2], h: [1, 5], w: [1, 5], height: [1, 7], width: [1, 7], align: [0, 1] } as const
testOperation('resizeNearest', resizes, ({ n, c, h, w, height, width }, draw) => ({
  inputs: { x: draw.normal(n, c, h, w) },
  build: ({ x }) => resizeNearest(x!, [height, width]),
  batched: ['x'],
}))
testOperation('resizeNearest by whole factors', resizes, ({ n, c, h, w, height, width }, draw) => ({
  inputs: { x: draw.normal(n, c, h, w) },
  build: ({ x }) => resizeNearest(x!, [h * Math.min(height, 3), w * Math.min(width, 3)]),
  batched: ['x'],
}))
testOperation('resizeBilinear', resizes, ({ n, c, h, w, height, width, align }, draw) => ({
  inputs: { x: draw.normal(n, c, h, w) },
  build: ({ x }) => resizeBilinear(x!, [height, width], { alignCorners: align === 1 }),
  batched: ['x'],
}))

test('of equal elements in a window the first owns the gradient', () => {
  const { outputs } = trace({ x: f32(1, 1, 2, 3) }, (_, { x }) => {
    const [dx] = grad(sum(maxPool2d(x, { kernel: 2, stride: 1 })), [x])
    return dx!
  })
  const [dx] = evaluate([outputs.output!], { x: { shape: [1, 1, 2, 3], data: Float64Array.of(1, 4, 4, 4, 0, 4) } })
  assert.deepEqual([...dx!.data], [0, 2, 0, 0, 0, 0])
})

test('ceil counts windows that end outside, but none that begin there', () => {
  const sizes = (size: number, kernel: number, stride: number, padding: number) =>
    [false, true].map(ceil => {
      const { outputs } = trace({ x: f32(1, 1, size, size) }, (_, { x }) =>
        maxPool2d(x, { kernel, stride, padding, ceil }),
      )
      return outputs.output!.shape[2]
    })
  assert.deepEqual(sizes(6, 3, 2, 0), [2, 3])
  assert.deepEqual(sizes(7, 3, 2, 0), [3, 3])
  assert.deepEqual(sizes(5, 2, 3, 1), [2, 2])
})

test('refuses what does not fit', () => {
  trace({ x: f32(2, 3, 4, 4), y: f32(3) }, (_, { x, y }) => {
    assert.throws(() => maxPool2d(y, { kernel: 2 }), /maxPool2d: x \[3\]: wanted \[batch, channels, height, width\]/)
    assert.throws(
      () => maxPool2d(x, { kernel: 5 }),
      /maxPool2d: a window of \[5, 5\] with dilation \[1, 1\] does not fit/,
    )
    assert.throws(
      () => averagePool2d(x, { kernel: 2, padding: 2 }),
      /padding \[2, 2, 2, 2\] must be less than the window/,
    )
    assert.throws(() => resizeNearest(x, [0, 4]), /resizeNearest: \[2, 3, 4, 4\] to \[0, 4\]/)
    assert.throws(() => resizeBilinear(y, [4, 4]), /resizeBilinear: \[3\] to \[4, 4\]: wanted \[..., height, width\]/)
    return x
  })
})
