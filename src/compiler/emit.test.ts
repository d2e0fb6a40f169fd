import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mul } from '../tensor/binary.js'
import { trace } from '../tensor/program.js'
import { reshape } from '../tensor/reshape.js'
import { f32 } from '../tensor/tensor.js'
import { emitProgram } from './emit.js'
import { everyRun } from './lowerings/every-run.js'

const inline = (...values: number[]) =>
  ({ kind: 'inline', data: new Uint8Array(Float32Array.from(values).buffer) }) as const

/** A weight in another shape times an input in another shape. */
const program = (changing: boolean) =>
  trace({ x: f32(6) }, (at, { x }) => {
    const weight = at.parameter('weight', [4], { kind: 'constant', value: 0 })
    return mul(reshape(changing ? everyRun(weight) : weight, [2, 2, 1]), reshape(x, [1, 2, 3]))
  })

/** The shapes that a model's reshapes ask for without the runtime knowing them ahead. */
function hidden(changing: boolean, options: Parameters<typeof emitProgram>[1]): string[] {
  const { bytes } = emitProgram(program(changing), { ...options, weights: () => inline(1, 2, 3, 4) })
  return [...new Set(new TextDecoder('latin1').decode(bytes).match(/sizes(_\d+)+/g))].sort()
}

test('where the runtime is to plan nothing it learns no sizes of what inputs become, but can still fold weights', () => {
  assert.deepEqual(hidden(false, {}), [])
  assert.deepEqual(hidden(false, { unplanned: true }), ['sizes_1_2_3'])
  assert.deepEqual(hidden(true, { unplanned: true }), ['sizes_1_2_3', 'sizes_2_2_1', 'sizes_4'])
  assert.deepEqual(hidden(false, { settled: true }), ['sizes_1_2_3', 'sizes_2_2_1'])
})
