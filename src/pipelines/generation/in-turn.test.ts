import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostTensor } from '../../runtime/index.js'
import { mul } from '../../tensor/binary.js'
import { type Program, trace } from '../../tensor/program.js'
import { f32 } from '../../tensor/tensor.js'
import { inTurn } from './in-turn.js'

test('only the network that runs is there, and one that is disposed of never again', async () => {
  const alive = new Set<Program>()
  let compiled = 0
  let most = 0
  const compile = inTurn(async program => {
    compiled++
    alive.add(program)
    most = Math.max(most, alive.size)
    const dispose = async () => void alive.delete(program)
    const run = async () => ({ output: hostTensor(alive.has(program) ? 1 : 0) })
    return Object.assign(run, { program, dispose, [Symbol.asyncDispose]: dispose })
  })
  const program = () => trace({ x: f32(1) }, (_, { x }) => mul(x, 2))
  const [first, second] = [await compile(program()), await compile(program())]
  assert.equal(compiled, 0)
  for (const { output } of await Promise.all([first({}), first({}), second({}), first({})]))
    assert.equal(output!.data[0], 1)
  assert.deepEqual([compiled, most], [3, 1])
  await second.dispose()
  assert.equal(alive.size, 1)
  await first.dispose()
  assert.equal(alive.size, 0)
  await assert.rejects(first({}), /has been disposed/)
})
