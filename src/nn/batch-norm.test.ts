import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluate } from '../tensor/evaluate.js'
import { trace } from '../tensor/program.js'
import { f32 } from '../tensor/tensor.js'
import { actNorm, actNormStart } from './act-norm.js'
import { batchNorms, batchNormsBy } from './batch-norm.js'

const x = { shape: [2, 1, 1, 2], data: Float64Array.of(1, 2, 3, 6) } // mean 3, variance 3.5, of a sample 14/3
const near = (actual: ArrayLike<number>, expected: readonly number[]) =>
  assert.ok(
    expected.every((value, i) => Math.abs(actual[i]! - value) < 1e-5),
    `${[...Array.from(actual)]}`,
  )

test('running statistics go in and come out, batch after batch, and serve inference', () => {
  const specs = { x: f32(2, 1, 1, 2), 'n.running_mean': f32(1), 'n.running_var': f32(1) }
  const { outputs } = trace(specs, (at, { x, ...running }) => {
    const first = batchNorms(running, { momentum: 0.5 })
    const normal = first.normalise(at('n'), x)
    const second = batchNorms(first.after, { momentum: 0.5 })
    second.normalise(at('n'), x)
    const mean = second.after['n.running_mean']!
    return { normal, mean, variance: second.after['n.running_var']!, inferred: batchNormsBy(running)(at('n'), x) }
  })
  const [normal, mean, variance, inferred] = evaluate(Object.values(outputs), {
    x,
    'n.running_mean': { shape: [1], data: Float64Array.of(1) },
    'n.running_var': { shape: [1], data: Float64Array.of(4) },
    'n.weight': { shape: [1], data: Float64Array.of(2) },
    'n.bias': { shape: [1], data: Float64Array.of(5) },
  }).map(({ data }) => data)
  near(
    normal!,
    [1, 2, 3, 6].map(v => 5 + (2 * (v - 3)) / Math.sqrt(3.5)),
  )
  near(mean!, [0.25 * 1 + 0.75 * 3])
  near(variance!, [0.25 * 4 + 0.75 * (14 / 3)])
  near(
    inferred!,
    [1, 2, 3, 6].map(v => 5 + (2 * (v - 1)) / 2),
  )
  assert.throws(
    () => trace(specs, (at, { x }) => batchNorms({}).normalise(at('n'), x)),
    /no running statistics "n\.running_mean"/,
  )
})

test('ActNorm starts so that the first batch comes out normal', () => {
  const start = trace({ x: f32(2, 1, 1, 2) }, (at, { x }) => {
    const { normalise, start } = actNormStart()
    return { normal: normalise(at('n'), x), loc: start['n.loc']!, scale: start['n.scale']! }
  })
  const [normal, loc, scale] = evaluate(Object.values(start.outputs), { x })
  near(
    normal!.data,
    [1, 2, 3, 6].map(v => (v - 3) / Math.sqrt(14 / 3)),
  )
  const after = trace({ x: f32(2, 1, 1, 2) }, (at, { x }) => actNorm(at('n'), x))
  const [same] = evaluate(Object.values(after.outputs), { x, 'n.loc': loc!, 'n.scale': scale! })
  near(same!.data, [...normal!.data])
})
