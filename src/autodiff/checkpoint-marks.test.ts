import assert from 'node:assert/strict'
import { test } from 'node:test'
import { add, mul } from '../tensor/binary.js'
import { evaluate } from '../tensor/evaluate.js'
import { trace } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import { f32, type Tensor } from '../tensor/tensor.js'
import { exp, square, tanh } from '../tensor/unary.js'
import { topological } from '../tensor/walk.js'
import { inlineCheckpoints } from './checkpoint.js'
import { checkpointMarks } from './checkpoint-marks.js'
import { gradients } from './gradients.js'

/** Blocks with a connection around one of them and something that all use. */
const program = trace({ x: f32(3), t: f32(3) }, (at, { x, t }) => {
  const weight = (name: string) => at(name).parameter('weight', [3], { kind: 'constant', value: 0.5 })
  const time = tanh(exp(mul(t, weight('time'))))
  let h = x
  const skips: Tensor[] = []
  for (const name of ['a', 'b', 'c']) {
    h = tanh(add(mul(tanh(mul(h, weight(name))), time), skips[0] ?? x))
    skips.push(at(name).mark(h))
  }
  return { loss: mean(square(h)), h }
})
const three = (...data: number[]) => ({ data: Float64Array.from(data), shape: [3] })
const inputs = { x: three(1, -2, 0.5), t: three(0.1, 0.2, 0.3) }
const weights = Object.fromEntries(program.parameters.map(({ name }) => [name, three(0.5, 0.4, 0.3)]))
const results = (p: typeof program) => {
  const { outputs } = gradients(p)
  return evaluate(Object.values(outputs), { ...inputs, ...weights }).map(({ data }) => [...data])
}

test('what lies between marks is computed again, with the same outputs and gradients', () => {
  const regions = checkpointMarks(program)
  assert.equal(topological(Object.values(regions.outputs)).filter(({ op }) => op.name === 'checkpoint').length, 4)
  assert.deepEqual(results(regions), results(program))
  assert.equal(regions.parameters, program.parameters)

  const count = (p: typeof program) => {
    const roots = inlineCheckpoints(Object.values(gradients(p).outputs))
    return topological(roots).filter(({ op }) => op.name === 'tanh').length
  }
  // The six of the blocks and the one before them, each a second time.
  assert.deepEqual([count(program), count(regions)], [7, 7 + 7])
})

test('a program without marks stays as it is', () => {
  const plain = { ...program, marks: {} }
  assert.deepEqual(results(checkpointMarks(plain)), results(program))
  assert.ok(!topological(Object.values(checkpointMarks(plain).outputs)).some(({ op }) => op.name === 'checkpoint'))
})
