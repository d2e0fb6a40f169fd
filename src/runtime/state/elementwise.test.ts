import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { adam, adamw, ema, sgd } from '../../optim/index.js'
import {
  add,
  and,
  div,
  equal,
  greater,
  greaterOrEqual,
  less,
  lessOrEqual,
  maximum,
  minimum,
  mul,
  or,
  sub,
} from '../../tensor/binary.js'
import { evaluate } from '../../tensor/evaluate.js'
import { type Program, trace } from '../../tensor/program.js'
import { f32, type Tensor } from '../../tensor/tensor.js'
import { abs, exp, neg, not, sqrt, square } from '../../tensor/unary.js'
import { where } from '../../tensor/where.js'
import { compileElementwise, laneShape } from './elementwise.js'
import { updateProgram } from './optimiser.js'
import { sumOfSquaresModule, sumOfSquaresStep } from './sum-of-squares.js'

type Numbers = Record<string, number[]>

/** Runs the WebAssembly over whole arrays. */
async function runKernel(program: Program, arrays: Numbers, scalars: Record<string, number>): Promise<Numbers> {
  const kernel = compileElementwise(program)
  const length = arrays[kernel.arrays[0]!]!.length
  const memory = new WebAssembly.Memory({ initial: 1 })
  const { instance } = await WebAssembly.instantiate(kernel.bytes, { host: { memory } })
  const views = kernel.arrays.map((_, i) => new Float32Array(memory.buffer, i * length * 4, length))
  kernel.arrays.forEach((name, i) => {
    views[i]!.set(arrays[name]!)
  })
  const offsets = views.map(view => view.byteOffset)
  ;(instance.exports.update as (...args: number[]) => void)(
    length / 4,
    ...offsets,
    ...kernel.scalars.map(name => scalars[name]!),
  )
  return Object.fromEntries(kernel.arrays.map((name, i) => [name, [...views[i]!]]))
}

/** The same by the f64 definitions, four elements at a time. */
function oracle(program: Program, arrays: Numbers, scalars: Record<string, number>): Numbers {
  const out: Numbers = Object.fromEntries(Object.entries(arrays).map(([name, numbers]) => [name, [...numbers]]))
  const length = Object.values(arrays)[0]!.length
  for (let at = 0; at < length; at += 4) {
    const given = Object.fromEntries([
      ...Object.entries(arrays).map(([name, v]) => [
        name,
        { shape: laneShape, data: Float64Array.from(v.slice(at, at + 4)) },
      ]),
      ...Object.entries(scalars).map(([name, v]) => [name, { shape: [], data: Float64Array.of(v) }]),
    ])
    const values = evaluate(Object.values(program.outputs), given)
    Object.keys(program.outputs).forEach((name, i) => {
      out[name]!.splice(at, 4, ...values[i]!.data)
    })
  }
  return out
}

function assertClose(actual: Numbers, expected: Numbers): void {
  for (const [name, numbers] of Object.entries(expected)) {
    numbers.forEach((wanted, i) => {
      const got = actual[name]![i]!
      const allowed = 2e-6 * Math.max(1, Math.abs(wanted))
      assert.ok(Math.abs(got - wanted) <= allowed, `${name}[${i}] is ${got}, wanted ${wanted}`)
    })
  }
}

const lanes = f32(...laneShape)
const floats = (length: number, min = -4) =>
  fc.array(
    fc.float({ min, max: 4, noNaN: true }).map(x => (Math.abs(x) < 1e-3 ? 0.5 : x)),
    { minLength: length, maxLength: length },
  )

test('every operation does in WebAssembly what its definition says', async () => {
  const unary: Record<string, (x: Tensor) => Tensor> = { abs, neg, root: x => sqrt(abs(x)) }
  const binary = { add, sub, mul, div, maximum, minimum }
  const comparisons = { equal, less, lessOrEqual, greater, greaterOrEqual }
  const program = (f: (x: Tensor, y: Tensor, s: Tensor) => Tensor) =>
    trace({ x: lanes, y: lanes, s: f32() }, (_, { x, y, s }) => ({ x: f(x, y, s) }))
  const programs = [
    ...Object.values(unary).map(f => program(x => f(x))),
    ...Object.values(binary).flatMap(f => [program(f), program((x, _, s) => f(x, s)), program(x => f(1.5, x))]),
    ...Object.values(comparisons).map(f => program((x, y) => where(f(x, y), x, 7))),
    program((x, y, s) => where(and(less(x, y), or(greater(x, s), not(less(y, 0)))), x, y)),
  ]
  await fc.assert(
    fc.asyncProperty(floats(8), floats(8), fc.float({ min: 1, max: 2, noNaN: true }), async (x, y, s) => {
      for (const one of programs) assertClose(await runKernel(one, { x, y }, { s }), oracle(one, { x, y }, { s }))
    }),
    { numRuns: 20 },
  )
})

test('the updates of all optimisers, with clipping and average in the same pass', async () => {
  const optimisers = [
    adamw(),
    adamw({ betas: [0.4, 0.5], epsilon: 1e-3, weightDecay: 0 }),
    adam(),
    adam({ weightDecay: 0.1 }),
    sgd(),
    sgd({ momentum: 0.9, weightDecay: 0.1 }),
  ]
  await fc.assert(
    fc.asyncProperty(
      floats(8),
      floats(8),
      floats(8),
      floats(8, 0),
      fc.integer({ min: 1, max: 1000 }),
      async (p, g, m, v, step) => {
        for (const optimiser of optimisers) {
          for (const averaging of [undefined, ema({ decay: 0.99 })]) {
            const arrays = {
              parameter: p,
              gradient: g,
              ...Object.fromEntries(optimiser.moments.map(name => [name, name === 'v' ? v : m])),
              ...(averaging && { ema: m }),
            }
            const scalars = { gradientScale: 0.5, ...optimiser.scalars(step, 0.01), ...averaging?.scalars(step) }
            const program = updateProgram(optimiser, averaging)
            const result = await runKernel(program, arrays, scalars)
            assertClose(result, oracle(program, arrays, scalars))
            assert.deepEqual(result.gradient, g, 'the gradient is only read')
          }
        }
      },
    ),
    { numRuns: 20 },
  )
})

test('an empty array is left alone, and foreign operations are refused', async () => {
  const double = trace({ x: lanes }, (_, { x }) => ({ x: mul(x, 2) }))
  assert.deepEqual(await runKernel(double, { x: [] }, {}), { x: [] })
  assert.throws(
    () => compileElementwise(trace({ x: lanes }, (_, { x }) => ({ x: exp(x) }))),
    /"exp" has no vector instruction/,
  )
  assert.throws(
    () => compileElementwise(trace({ x: lanes }, (_, { x }) => ({ y: square(x) }))),
    /"y" replaces no array/,
  )
})

test('the sum of squares is a float64 sum', async () => {
  const memory = new WebAssembly.Memory({ initial: 1 })
  const { instance } = await WebAssembly.instantiate(sumOfSquaresModule(), { host: { memory } })
  const sum = instance.exports.sumOfSquares as (address: number, steps: number) => number
  await fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 20 }),
      fc.integer({ min: 0, max: 50 }),
      fc.float({ noNaN: true, min: -9, max: 9 }),
      (first, steps, x) => {
        const numbers = new Float32Array(memory.buffer, first * 64, steps * sumOfSquaresStep)
        numbers.forEach((_, i) => {
          numbers[i] = x * (1 + i * 1e3)
        })
        const wanted = numbers.reduce((total, y) => total + y * y, 0)
        assert.ok(Math.abs(sum(first * 64, steps) - wanted) <= 1e-13 * wanted)
      },
    ),
  )
})
