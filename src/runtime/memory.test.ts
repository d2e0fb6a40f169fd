import assert from 'node:assert/strict'
import test from 'node:test'
import { adamw } from '../optim/index.js'
import { matmul } from '../tensor/matmul.js'
import { trace } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import { f32 } from '../tensor/tensor.js'
import { square } from '../tensor/unary.js'
import { hostTensor, openDevice } from './index.js'

/** Resident megabytes that 180 more times take after 80, by when the heaps have grown as far as they do. */
async function assertGivesBack(work: () => Promise<void>): Promise<void> {
  let early = 0
  for (let i = 1; i <= 260; i++) {
    await work()
    if (i === 80) early = process.memoryUsage.rss()
  }
  const growth = (process.memoryUsage.rss() - early) / 2 ** 20
  assert.ok(growth <= 20, `${growth.toFixed(1)} MB more after 260 times than after 80`)
}

const width = 256
const layer = trace({ x: f32(16, width) }, (at, { x }) => ({
  loss: mean(square(matmul(x, at.parameter('weight', [width, width], { kind: 'constant', value: 0 })))),
}))
const numbers = new Float32Array(width * width).fill(0.01)
const weights = new Map([['weight', hostTensor(numbers, [width, width])]])
const start = [{ name: 'weight', shape: [width, width], data: numbers }]
const inputs = { x: hostTensor(new Float32Array(16 * width).fill(1), [16, width]) }

test('executables and training states give their memory back', async () => {
  await using device = await openDevice('cpu', { threads: 1 })
  await assertGivesBack(async () => {
    await using run = await device.compile(layer, { weights })
    await run(inputs)
    await using state = await device.state(start, { optimiser: adamw() })
    await using step = await state.training(layer)
    await step.accumulate(inputs)
    await state.update({ learningRate: 1e-3 })
  })
})

test('devices give their memory back', () =>
  assertGivesBack(async () => {
    await using device = await openDevice('cpu', { threads: 1 })
    await using run = await device.compile(layer, { weights })
    await run(inputs)
  }))
