import assert from 'node:assert/strict'
import { test } from 'node:test'
import { grad } from '../autodiff/grad.js'
import { testOperation } from '../testing/operation.js'
import type { Draw } from '../testing/values.js'
import { argmax, argmin, oneHot } from './arg.js'
import { mul } from './binary.js'
import { stopGradient, straightThrough, withGradients } from './control.js'
import { evaluate } from './evaluate.js'
import { gather, scatterAdd } from './gather.js'
import { trace } from './program.js'
import { sum } from './reduce.js'
import { f32, i64, type Tensor } from './tensor.js'
import { square } from './unary.js'

const cube = { n: [1, 3], c: [1, 4], k: [1, 4], i: [1, 4], j: [1, 3] } as const

testOperation('gather of rows', cube, ({ n, c, k, i }, draw) => ({
  inputs: { x: draw.normal(c, k), indices: draw.indices(c, n, i) },
  build: ({ x, indices }) => gather(x!, indices!),
  batched: ['indices'],
}))
testOperation('gather along axis 1', cube, ({ n, c, k, i, j }, draw) => ({
  inputs: { x: draw.normal(n, c, k), indices: draw.indices(c, i, j) },
  build: ({ x, indices }) => gather(x!, indices!, { axis: 1 }),
  batched: ['x'],
}))
testOperation('scatterAdd', cube, ({ n, c, k, i }, draw) => ({
  inputs: { indices: draw.indices(c, n, i), updates: draw.normal(n, i, k) },
  build: ({ indices, updates }) => scatterAdd(indices!, updates!, c),
  batched: ['indices', 'updates'],
}))
testOperation('scatterAdd into a large table', cube, ({ n, k, i }, draw) => ({
  inputs: { indices: draw.indices(1500, n, i), updates: draw.normal(n, i, k) },
  build: ({ indices, updates }) => scatterAdd(indices!, updates!, 1500),
  batched: ['indices', 'updates'],
}))
for (const axis of [1, -1]) {
  for (const [name, f] of Object.entries({ argmax, argmin })) {
    const make = ({ n, c, k }: { n: number; c: number; k: number }, draw: Draw) => {
      const { shape, data } = draw.indices(3, n, c, k)
      const x = { dtype: 'f32', shape, data } as const
      return { inputs: { x }, build: ({ x }: Record<string, Tensor>) => f(x!, { axis }), batched: ['x'] }
    }
    testOperation(`${name} over axis ${axis}, with ties`, cube, make, { gradient: false })
  }
}
testOperation(
  'oneHot',
  cube,
  ({ n, c, k }, draw) => ({
    inputs: { indices: draw.indices(k, n, c) },
    build: ({ indices }) => oneHot(indices!, k),
    batched: ['indices'],
  }),
  { gradient: false },
)

test('stopGradient and straightThrough pass values one way and gradients the other', () => {
  const { outputs } = trace({ x: f32(2), y: f32(2) }, (_, { x, y }) => {
    const stopped = mul(x, stopGradient(x))
    const through = mul(straightThrough(y, x), square(y))
    const [ds] = grad(sum(stopped), [x])
    const [dx, dy] = grad(sum(through), [x, y])
    return { stopped, through, ds: ds!, dx: dx!, dy: dy! }
  })
  const given = {
    x: { shape: [2], data: Float64Array.of(2, 3) },
    y: { shape: [2], data: Float64Array.of(5, 7) },
  }
  const numbers = evaluate(Object.values(outputs), given).map(({ data }) => [...data])
  assert.deepEqual(numbers, [
    [4, 9],
    [125, 343],
    [2, 3],
    [25, 49],
    [50, 98],
  ])
})

test('refuses what does not fit', () => {
  trace({ x: f32(4, 3), y: f32(2, 3), k: i64(5) }, (_, { x, y, k }) => {
    assert.throws(() => gather(x, y), /gather: the indices are f32, wanted i64/)
    assert.throws(() => gather(x, k, { axis: 2 }), /gather: axis 2 does not exist/)
    assert.throws(() => scatterAdd(k, x, 9), /scatterAdd: updates \[4, 3\] do not fit indices \[5\]/)
    assert.throws(() => straightThrough(x, y), /straightThrough: f32 \[4, 3\] cannot stand in for f32 \[2, 3\]/)
    assert.throws(() => oneHot(x, 3), /oneHot: the indices are f32, wanted i64/)
    assert.throws(() => oneHot(k, 0), /oneHot: depth 0/)
    assert.throws(() => evaluate([gather(x, k)], { x: value(4, 3), k: value(5) }), /index 11 lies outside an axis of 4/)
    return x
  })
})

const value = (...shape: number[]) => ({
  shape,
  data: new Float64Array(shape.reduce((a, b) => a * b)).fill(11),
})

test('withGradients passes the given gradients on, scaled', () => {
  const { outputs } = trace({ x: f32(2), y: f32(2) }, (_, { x, y }) => {
    const loss = mul(withGradients(sum(square(x)), [[x, y]]), 3)
    return { loss, gradient: grad(loss, [x])[0]! }
  })
  const list = (...data: number[]) => ({ shape: [2], data: Float64Array.from(data) })
  const [loss, gradient] = evaluate(Object.values(outputs), { x: list(1, 2), y: list(5, 7) })
  assert.deepEqual([loss!.data[0], ...gradient!.data], [15, 15, 21])
  assert.throws(() => trace({ x: f32(2), y: f32(3) }, (_, { x, y }) => withGradients(sum(x), [[x, y]])), /shapes/)
})
