import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linear } from '../nn/linear.js'
import { drawing } from '../testing/values.js'
import { add, mul } from './binary.js'
import { evaluate } from './evaluate.js'
import { hoist } from './hoist.js'
import { matmul } from './matmul.js'
import { type Program, trace } from './program.js'
import { reshape, transpose } from './reshape.js'
import { f32 } from './tensor.js'

/** Numbers for every parameter, and the outputs by name. */
function run({ outputs }: Program, values: Parameters<typeof evaluate>[1]) {
  const found = evaluate(Object.values(outputs), values)
  return Object.fromEntries(Object.keys(outputs).map((name, i) => [name, found[i]!]))
}

const attention = (batch: number) =>
  trace({ x: f32(batch, 2, 3), context: f32(batch, 2, 4), y: f32(batch, 3) }, (at, { x, context, y }) => {
    const k = transpose(linear(at('k'), context, { out: 3 }))
    const h = add(linear(at('q'), x, { out: 3 }), reshape(mul(y, y), [batch, 1, 3]))
    return { prediction: matmul(h, k), context: mul(context, 2) }
  })

const attending = attention(-1)

test('what steady inputs become is computed by itself, before what moves it about', () => {
  const parts = hoist(attending, ['context', 'y'])!
  assert.deepEqual(Object.keys(parts.once.inputs).sort(), ['context', 'y'])
  assert.deepEqual(
    Object.values(parts.once.outputs).map(({ op, shape }) => [op.name, shape]),
    [
      ['mul', [-1, 3]],
      ['add', [-1, 2, 3]],
      ['mul', [-1, 2, 4]],
    ],
  )
  assert.deepEqual(Object.keys(parts.each.inputs), ['x', 'steady.0', 'steady.1', 'steady.2'])
  const names = (program: Program) => program.parameters.map(({ name }) => name)
  assert.deepEqual(names(parts.once), ['k.weight', 'k.bias'])
  assert.deepEqual(names(parts.each), ['q.weight', 'q.bias'])
})

test('both parts together mean the same', () => {
  const draw = drawing(7)
  const weights = Object.fromEntries(attending.parameters.map(({ name, shape }) => [name, draw.normal(...shape)]))
  const inputs = { x: draw.normal(2, 2, 3), context: draw.normal(2, 2, 4), y: draw.normal(2, 3) }
  const whole = attention(2)
  const parts = hoist(whole, ['context', 'y'])!
  const kept = run(parts.once, { ...weights, ...inputs })
  assert.deepEqual(run(parts.each, { ...weights, x: inputs.x, ...kept }), run(whole, { ...weights, ...inputs }))
})

test('inputs that are used as they are stay with the rest; nothing is split off for nothing', () => {
  const sum = trace({ x: f32(2), hint: f32(2) }, (_, { x, hint }) => add(x, hint))
  assert.equal(hoist(sum, ['hint']), undefined)
  assert.equal(hoist(attending, []), undefined)
  const both = trace({ x: f32(2), hint: f32(2) }, (_, { x, hint }) => mul(add(x, hint), mul(hint, 3)))
  assert.deepEqual(Object.keys(hoist(both, ['hint'])!.each.inputs), ['x', 'hint', 'steady.0'])
})
