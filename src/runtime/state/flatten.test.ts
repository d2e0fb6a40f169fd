import assert from 'node:assert/strict'
import test from 'node:test'
import { gradients } from '../../autodiff/gradients.js'
import { mul } from '../../tensor/binary.js'
import { evaluate } from '../../tensor/evaluate.js'
import { type Program, trace } from '../../tensor/program.js'
import { sum } from '../../tensor/reduce.js'
import { sizeOf } from '../../tensor/shape.js'
import { f32 } from '../../tensor/tensor.js'
import { exp, square } from '../../tensor/unary.js'
import { drawing, type Sample } from '../../testing/values.js'
import { flattenParameters, sumOfSquaresProgram } from './flatten.js'
import { layOut } from './layout.js'

const zeros = { kind: 'constant', value: 0 } as const
const program = trace({ x: f32(2, 3) }, (at, { x }) => {
  const a = at.parameter('a', [2, 3], zeros)
  const b = at.parameter('b', [3], zeros)
  const frozen = at.parameter('frozen', [1], zeros)
  return { loss: sum(mul(exp(mul(a, x)), mul(square(b), frozen))) }
})
const parameters = [
  { name: 'b', shape: [3] },
  { name: 'unused', shape: [5] },
  { name: 'a', shape: [2, 3] },
]

function valuesOf(program: Program, given: Record<string, Sample>): Record<string, Float64Array> {
  const values = evaluate(Object.values(program.outputs), given)
  return Object.fromEntries(Object.keys(program.outputs).map((name, i) => [name, values[i]!.data]))
}

test('parameters in chunks of flat arrays give the same loss and gradients', () => {
  const layout = layOut(parameters, 8, 4)
  assert.deepEqual(layout.lengths, [4, 8, 8], 'one chunk a parameter: two would be more than the limit')
  const draw = drawing(1)
  const x = draw.normal(2, 3)
  const frozen = draw.normal(1)
  const values: Record<string, Sample> = { a: draw.normal(2, 3), b: draw.normal(3), unused: draw.normal(5) }
  const whole = gradients(program, ['a', 'b'])
  const expected = valuesOf(whole, { x, frozen, ...values })

  const chunks = layout.lengths.map(length => new Float64Array(length))
  for (const [name, { chunk, offset }] of layout.places) chunks[chunk]!.set(values[name]!.data, offset)
  const flat = flattenParameters(whole, layout)
  assert.deepEqual(
    flat.parameters.map(({ name }) => name),
    ['frozen'],
  )
  const given = Object.fromEntries(chunks.map((data, i) => [`parameter:${i}`, { shape: [data.length], data }]))
  const results = valuesOf(flat, { x, frozen, ...given })
  assert.deepEqual(results.loss, expected.loss)
  for (const { name, shape } of parameters) {
    const { chunk, offset } = layout.places.get(name)!
    const gradient = results[`gradient:${chunk}`]!.slice(offset, offset + sizeOf(shape))
    assert.deepEqual(gradient, expected[`gradient:${name}`] ?? new Float64Array(sizeOf(shape)))
  }
})

test('the sum of squares goes over all chunks', () => {
  const draw = drawing(2)
  const given = { 'gradient:0': draw.normal(2048), 'gradient:1': draw.normal(1024) }
  const { output } = valuesOf(sumOfSquaresProgram([2048, 1024]), given)
  const wanted = Object.values(given).reduce((total, { data }) => data.reduce((sum, y) => sum + y * y, total), 0)
  assert.ok(Math.abs(output![0]! - wanted) < 1e-9 * wanted)
})
