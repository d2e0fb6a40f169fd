import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InferenceSession } from 'onnxruntime-common'
import { linear } from '../../nn/linear.js'
import { add, mul } from '../../tensor/binary.js'
import { trace } from '../../tensor/program.js'
import { f32 } from '../../tensor/tensor.js'
import { testDevice } from '../../testing/device.js'
import { hostTensor } from '../host-tensor.js'
import { Ahead } from './ahead.js'

/** A session that does nothing but be counted. */
function counted(again: boolean) {
  const counts = { loaded: 0, run: 0, released: 0 }
  const session = {
    run: async () => ({ kept: ++counts.run }),
    release: async () => void counts.released++,
  } as unknown as InferenceSession
  const load = async () => {
    counts.loaded++
    return session
  }
  return { counts, ahead: new Ahead(load, { held: {}, again }) }
}

const given = (value: number) => ({ context: hostTensor([value, 2]) })

test('what inputs become is computed again only where they differ', async () => {
  const { counts, ahead } = counted(true)
  const of = (value: number) => ahead.of(given(value), () => ({}))
  assert.deepEqual(await of(1), { kept: 1 })
  assert.deepEqual(await of(1), { kept: 1 })
  assert.deepEqual(counts, { loaded: 1, run: 1, released: 1 })
  assert.deepEqual(await of(3), { kept: 2 })
  assert.deepEqual(await of(1), { kept: 3 })
  assert.deepEqual(counts, { loaded: 2, run: 3, released: 1 })
  await ahead.release()
  assert.equal(counts.released, 2)
})

test('weights that are in no file are loaded once', async () => {
  const { counts, ahead } = counted(false)
  for (const value of [1, 2, 2]) await ahead.of(given(value), () => ({}))
  assert.deepEqual(counts, { loaded: 1, run: 2, released: 0 })
})

test('an executable with steady inputs gives what one without does, for inputs that change and batches that grow', async () => {
  const device = await testDevice()
  const program = trace({ x: f32(-1, 3), context: f32(-1, 4) }, (at, { x, context }) =>
    add(mul(x, linear(at('k'), context, { out: 3 })), linear(at('v'), context, { out: 3 })),
  )
  const weights = new Map(
    program.parameters.map(({ name, shape }) => [
      name,
      hostTensor(
        Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i + name.length)),
        shape,
      ),
    ]),
  )
  const plain = await device.compile(program, { weights })
  const split = await device.compile(program, { weights, steady: ['context'] })
  const inputs = (batch: number, seed: number) => ({
    x: hostTensor(
      Array.from({ length: 3 * batch }, (_, i) => Math.cos(i + seed)),
      [batch, 3],
    ),
    context: hostTensor(
      Array.from({ length: 4 * batch }, (_, i) => Math.cos(i * seed)),
      [batch, 4],
    ),
  })
  const [first, second] = [inputs(1, 3), inputs(2, 5)]
  for (const given of [first, { ...first, x: second.x, context: second.context }, second, first]) {
    assert.deepEqual(await split(given), await plain(given))
  }
  await assert.rejects(async () => split({ x: first.x }), TypeError)
  await plain.dispose()
  await split.dispose()
})
