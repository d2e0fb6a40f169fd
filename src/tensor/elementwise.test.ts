import assert from 'node:assert/strict'
import { test } from 'node:test'
import { grad } from '../autodiff/grad.js'
import { testOperation } from '../testing/operation.js'
import type { Draw } from '../testing/values.js'
import * as activations from './activation.js'
import * as binaries from './binary.js'
import { evaluate } from './evaluate.js'
import { trace } from './program.js'
import { sum } from './reduce.js'
import { split } from './slice.js'
import { f32, i64, type Tensor } from './tensor.js'
import * as unaries from './unary.js'
import { where } from './where.js'

type Kind = 'normal' | 'positive' | 'distinct'

const rows = { n: [1, 3], c: [1, 5] } as const

/** What an elementwise function of one tensor is tried on: numbers at which it is smooth. */
const ofOne: [string, (x: Tensor) => Tensor, Kind][] = [
  ['neg', unaries.neg, 'normal'],
  ['exp', unaries.exp, 'normal'],
  ['tanh', unaries.tanh, 'normal'],
  ['sigmoid', unaries.sigmoid, 'normal'],
  ['sin', unaries.sin, 'normal'],
  ['cos', unaries.cos, 'normal'],
  ['square', unaries.square, 'normal'],
  ['log', unaries.log, 'positive'],
  ['sqrt', unaries.sqrt, 'positive'],
  ['abs', unaries.abs, 'distinct'],
  ['silu', activations.silu, 'normal'],
  ['erf', activations.erf, 'normal'],
  ['gelu', activations.gelu, 'normal'],
  ['geluTanh', activations.geluTanh, 'normal'],
  ['quickGelu', activations.quickGelu, 'normal'],
  ['softplus', activations.softplus, 'normal'],
  ['sign', unaries.sign, 'distinct'],
  ['relu', activations.relu, 'distinct'],
  ['leakyRelu', x => activations.leakyRelu(x, 0.2), 'distinct'],
]
for (const [name, f, kind] of ofOne) {
  testOperation(name, rows, ({ n, c }, draw) => ({
    inputs: { x: draw[kind](n, c) },
    build: ({ x }) => f(x!),
    batched: ['x'],
  }))
}

/** Shapes that broadcast in every way: a missing axis, an axis of 1 on either side. */
const operands = (n: number, c: number, way: number, draw: Draw, kind: Kind) => ({
  x: draw[kind](n, way === 1 ? 1 : c),
  y: draw[kind](...(way === 2 ? [c] : [n, c])),
})
const ofTwo: [string, (x: Tensor, y: Tensor) => Tensor, Kind][] = [
  ['add', binaries.add, 'normal'],
  ['sub', binaries.sub, 'normal'],
  ['mul', binaries.mul, 'normal'],
  ['div', binaries.div, 'positive'],
  ['pow', binaries.pow, 'positive'],
]
for (const [name, f, kind] of ofTwo) {
  testOperation(name, { ...rows, way: [0, 2] }, ({ n, c, way }, draw) => ({
    inputs: operands(n, c, way, draw, kind),
    build: ({ x, y }) => f(x!, y!),
    batched: way === 2 ? ['x'] : ['x', 'y'],
  }))
}
for (const [name, f] of Object.entries({ maximum: binaries.maximum, minimum: binaries.minimum })) {
  testOperation(name, rows, ({ n, c }, draw) => ({
    inputs: { x: draw.distinct(2, n, c) },
    build: ({ x }) => {
      const [a, b] = split(x!, 2, { axis: 0 })
      return f(a!, b!)
    },
  }))
}
const comparisons = {
  equal: binaries.equal,
  less: binaries.less,
  lessOrEqual: binaries.lessOrEqual,
  greater: binaries.greater,
  greaterOrEqual: binaries.greaterOrEqual,
}
for (const [name, compare] of Object.entries(comparisons)) {
  testOperation(
    name,
    rows,
    ({ n, c }, draw) => ({
      inputs: { x: draw.indices(3, n, c), y: draw.indices(3, c) },
      build: ({ x, y }) => compare(x!, y!),
      batched: ['x'],
    }),
    { gradient: false },
  )
}
testOperation('where, and, or, not', rows, ({ n, c }, draw) => ({
  inputs: { a: draw.bool(n, c), b: draw.bool(c), x: draw.normal(n, c), y: draw.normal(c) },
  build: ({ a, b, x, y }) =>
    binaries.add(where(binaries.and(a!, b!), x!, y!), where(binaries.or(a!, unaries.not(b!)), 2, x!)),
  batched: ['a', 'x'],
}))
testOperation(
  'cast',
  rows,
  ({ n, c }, draw) => ({
    inputs: { x: draw.distinct(n, c) },
    build: ({ x }) => unaries.cast(unaries.cast(unaries.cast(x!, 'i64'), 'bool'), 'f32'),
    batched: ['x'],
  }),
  { gradient: false },
)

test('erf is exact to double precision', () => {
  const { outputs } = trace({ x: f32(4) }, (_, { x }) => activations.erf(x))
  const [value] = evaluate([outputs.output!], { x: { shape: [4], data: Float64Array.of(0, 0.5, -2, 7) } })
  const wanted = [0, 0.5204998778130465, -0.9953222650189527, 1]
  wanted.forEach((v, i) => {
    assert.ok(Math.abs(value!.data[i]! - v) < 1e-15)
  })
})

test('at a tie the gradient of maximum goes to the first', () => {
  const { outputs } = trace({ x: f32(2), y: f32(2) }, (_, { x, y }) => {
    const [dx, dy] = grad(sum(binaries.maximum(x, y)), [x, y])
    return { dx: dx!, dy: dy! }
  })
  const same = { shape: [2], data: Float64Array.of(1, 1) }
  const [dx, dy] = evaluate([outputs.dx!, outputs.dy!], { x: same, y: same })
  assert.deepEqual([...dx!.data, ...dy!.data], [1, 1, 0, 0])
})

test('refuses shapes and dtypes that do not fit', () => {
  trace({ x: f32(2, 3), y: f32(4, 3), k: i64(2, 3) }, (_, { x, y, k }) => {
    assert.throws(
      () => binaries.add(x, y),
      /add: shapes \[2, 3\] and \[4, 3\] do not broadcast: axis -2 has \[2\] and \[4\]/,
    )
    assert.throws(() => binaries.mul(x, k), /mul: dtypes f32 and i64 differ: cast one of them/)
    assert.throws(() => where(x, x, x), /where: the condition is f32, wanted bool/)
    return x
  })
})
