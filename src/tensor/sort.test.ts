import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testOperation } from '../testing/operation.js'
import { gatherRows } from './gather-rows.js'
import { trace } from './program.js'
import { argsort } from './sort.js'
import { f32, i64 } from './tensor.js'

const cube = { n: [1, 3], c: [1, 5], k: [1, 4], i: [1, 4] } as const

for (const axis of [1, -1]) {
  testOperation(
    `argsort over axis ${axis}, with ties`,
    cube,
    ({ n, c, k }, draw) => {
      const { shape, data } = draw.indices(3, n, c, k)
      return {
        inputs: { x: { dtype: 'f32', shape, data } },
        build: ({ x }) => argsort(x!, { axis }),
        batched: ['x'],
      }
    },
    { gradient: false },
  )
}
testOperation('gatherRows', cube, ({ n, c, k, i }, draw) => ({
  inputs: { x: draw.normal(n, c, k), indices: draw.indices(c, n, i) },
  build: ({ x, indices }) => gatherRows(x!, indices!),
  batched: ['x', 'indices'],
}))

test('what cannot be sorted or gathered is refused', () => {
  assert.throws(() => trace({ x: i64(3) }, (_, { x }) => argsort(x, { axis: 0 })), /wanted f32/)
  assert.throws(() => trace({ x: f32(-1, 3) }, (_, { x }) => argsort(x, { axis: 0 })), /is open/)
  assert.throws(
    () => trace({ x: f32(2, 3, 4), indices: i64(3, 1) }, (_, { x, indices }) => gatherRows(x, indices)),
    /do not fit/,
  )
})
