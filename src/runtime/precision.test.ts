import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gelu, silu } from '../tensor/activation.js'
import { attention } from '../tensor/attention.js'
import { add, sub } from '../tensor/binary.js'
import { conv2d } from '../tensor/conv.js'
import { evaluate } from '../tensor/evaluate.js'
import { groupNorm, layerNorm } from '../tensor/normalize.js'
import { averagePool2d, maxPool2d } from '../tensor/pool.js'
import { trace } from '../tensor/program.js'
import { resizeNearest } from '../tensor/resize.js'
import { concat } from '../tensor/slice.js'
import { f32 } from '../tensor/tensor.js'
import { cos } from '../tensor/unary.js'
import { drawing } from '../testing/values.js'
import { openDevice } from './device.js'
import { hostTensor } from './host-tensor.js'

test('a device of precision f64 keeps what f32 loses, between inputs and outputs of f32', async () => {
  const program = trace({ x: f32(2) }, (_, { x }) => sub(add(x, 2 ** 30), 2 ** 30))
  const run = async (precision: 'f32' | 'f64') => {
    await using device = await openDevice('cpu', { precision, threads: 1 })
    await using executable = await device.compile(program)
    const { output } = await executable({ x: hostTensor([0.25, 3]) })
    assert.equal(output!.dtype, 'f32')
    return [...(output!.data as Float32Array)]
  }
  assert.deepEqual(await run('f64'), [0.25, 3])
  assert.deepEqual(await run('f32'), [0, 0])
})

test('it also runs the operators that the runtime has in f32 alone', async () => {
  const x = drawing(1).normal(2, 4, 6, 6)
  const weight = drawing(2).normal(4, 4, 3, 3)
  const program = trace({ x: f32(...x.shape), weight: f32(...weight.shape) }, (_, { x, weight }) => {
    const h = gelu(silu(groupNorm(conv2d(x, weight, undefined, { padding: 1 }), 2)))
    const pooled = concat([averagePool2d(h, { kernel: 2, stride: 2 }), maxPool2d(h, { kernel: 2, stride: 2 })], {
      axis: 1,
    })
    return { attended: cos(attention(h, h, h)), resized: resizeNearest(pooled, [6, 6]), normal: layerNorm(h) }
  })
  await using device = await openDevice('cpu', { precision: 'f64', threads: 1 })
  await using executable = await device.compile(program)
  const results = await executable({ x: hostTensor(x.data, x.shape), weight: hostTensor(weight.data, weight.shape) })
  for (const [name, tensor] of Object.entries(program.outputs)) {
    const [exact] = evaluate([tensor], { x, weight })
    const data = results[name]!.data as Float32Array
    assert.ok(
      exact!.data.every((v, i) => Math.abs(v - data[i]!) < 1e-5),
      name,
    )
  }
})

test('only the processor computes in f64', async () => {
  await assert.rejects(openDevice('wasm', { precision: 'f64' }), /"wasm" does not compute in f64/)
})
