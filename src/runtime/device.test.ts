import assert from 'node:assert/strict'
import test from 'node:test'
import { gradients } from '../autodiff/gradients.js'
import { adamw, ema } from '../optim/index.js'
import { add, mul, sub } from '../tensor/binary.js'
import { evaluate } from '../tensor/evaluate.js'
import { matmul } from '../tensor/matmul.js'
import { trace } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import { f32 } from '../tensor/tensor.js'
import { square } from '../tensor/unary.js'
import { openWebgpu } from '../testing/webgpu.js'
import { type HostTensor, hostTensor, openDevice } from './index.js'

const zeros = { kind: 'constant', value: 0 } as const
const regression = trace({ x: f32(4, 3), y: f32(4, 2) }, (at, { x, y }) => {
  const prediction = add(matmul(x, at.parameter('weight', [3, 2], zeros)), at.parameter('bias', [2], zeros))
  return { loss: mean(square(sub(prediction, y))), prediction }
})
const ramp = (count: number, scale: number, from = 0) =>
  Float32Array.from({ length: count }, (_, i) => from + scale * i)
const batch = { x: hostTensor(ramp(12, 0.1, -0.5), [4, 3]), y: hostTensor(ramp(8, -0.2, 1), [4, 2]) }
const start = [
  { name: 'weight', shape: [3, 2], data: ramp(6, 0.3, -0.7) },
  { name: 'bias', shape: [2], data: ramp(2, 0.5) },
]

/** The oracle's loss and gradients for the batch. */
function oracle(parameters: ReadonlyMap<string, Float32Array>) {
  const program = gradients(regression)
  const given = Object.fromEntries([
    ...Object.entries(batch).map(([name, t]) => [
      name,
      { shape: t.shape, data: Float64Array.from(t.data as Float32Array) },
    ]),
    ...start.map(({ name, shape }) => [name, { shape, data: Float64Array.from(parameters.get(name)!) }]),
  ])
  const names = Object.keys(program.outputs)
  const values = evaluate(Object.values(program.outputs), given)
  return Object.fromEntries(names.map((name, i) => [name, values[i]!.data]))
}

const close = (actual: ArrayLike<number | bigint>, expected: ArrayLike<number>, tolerance = 1e-6) => {
  assert.equal(actual.length, expected.length)
  for (let i = 0; i < expected.length; i++) {
    assert.ok(
      Math.abs(Number(actual[i]) - expected[i]!) <= tolerance,
      `element ${i}: ${actual[i]}, wanted ${expected[i]}`,
    )
  }
}
const initial = new Map(start.map(({ name, data }) => [name, data]))
const weights = new Map(
  start.map(({ name, shape, data }): [string, HostTensor] => [name, { dtype: 'f32', shape, data }]),
)

/** A device, or why it is not there. */
const opened = (name: 'cpu' | 'wasm' | 'webgpu') =>
  name === 'webgpu' ? openWebgpu() : openDevice(name, { threads: 1 })

for (const name of ['cpu', 'wasm', 'webgpu'] as const) {
  test(`${name}: a compiled program gives the oracle's numbers`, async t => {
    const there = await opened(name)
    if (typeof there === 'string') return t.skip(there)
    await using device = there
    await using run = await device.compile(regression, { weights })
    const { loss, prediction } = await run(batch)
    const expected = oracle(initial)
    close(loss!.data, expected.loss!)
    close(prediction!.data, expected.prediction!)
    assert.deepEqual(prediction!.shape, [4, 2])
    await assert.rejects(run({ x: batch.x }), /"y" is missing: hand in f32 \[4, 2\]/)
    await assert.rejects(run({ ...batch, x: hostTensor(ramp(3, 1)) }), /"x" has shape \[3\]/)
    await assert.rejects(run({ ...batch, z: batch.x }), /no input "z"; it takes x, y/)
  })

  test(`${name}: gradients accumulate, updates follow AdamW and EMA, snapshots restore`, async t => {
    const there = await opened(name)
    if (typeof there === 'string') return t.skip(there)
    await using device = there
    await using state = await device.state(start, { optimiser: adamw({ weightDecay: 0.1 }), ema: ema({ decay: 0.9 }) })
    await using step = await state.training(regression)
    const { loss } = await step.accumulate(batch)
    const expected = oracle(initial)
    close(loss!.data, expected.loss!)
    const first = await state.read('gradient')
    for (const key of first.keys()) close(first.get(key)!, expected[`gradient:${key}`]!)
    await step.accumulate(batch, { scale: 0.5 })
    const second = await state.read('gradient')
    for (const key of second.keys())
      close(
        second.get(key)!,
        expected[`gradient:${key}`]!.map(g => g * 1.5),
      )

    const { gradientNorm } = await state.update({ learningRate: 0.1, clip: 0.01 })
    const all = start.flatMap(({ name }) => [...expected[`gradient:${name}`]!]).map(g => g * 1.5)
    close([gradientNorm], [Math.hypot(...all)])
    const average = await state.read('ema')
    const after = await state.read('parameter')
    for (const { name, data } of start) {
      const scale = Math.min(1, 0.01 / (Math.hypot(...all) + 1e-6))
      const wanted = [...data].map((p, i) => {
        const g = expected[`gradient:${name}`]![i]! * 1.5 * scale
        return p * (1 - 0.1 * 0.1) - (0.1 * g) / (Math.abs(g) + 1e-8)
      })
      close(after.get(name)!, wanted, 1e-5)
      close(
        average.get(name)!,
        wanted.map((p, i) => data[i]! + (p - data[i]!) * (1 - 2 / 11)),
        1e-5,
      )
    }

    const snapshot = await state.snapshot()
    const losses: number[] = []
    for (const _ of [0, 1]) {
      await state.restore(snapshot)
      for (let i = 0; i < 3; i++) {
        losses.push((await step.accumulate(batch)).loss!.data[0] as number)
        await state.update({ learningRate: 0.1 })
      }
      assert.equal(state.updates, 4)
    }
    assert.deepEqual(losses.slice(0, 3), losses.slice(3))
    assert.ok(losses[2]! < losses[0]!)

    await using evaluateEma = await state.compile(regression, { use: 'ema' })
    const ema4 = await state.read('ema')
    close((await evaluateEma(batch)).loss!.data, oracle(ema4).loss!)
  })
}

test('part of the parameters can be frozen', async () => {
  await using device = await openDevice('cpu', { threads: 1 })
  await using state = await device.state(start.slice(1), { optimiser: adamw() })
  await using step = await state.training(regression, { frozen: weights })
  close((await step.accumulate(batch)).loss!.data, oracle(initial).loss!)
  close((await state.read('gradient')).get('bias')!, oracle(initial)['gradient:bias']!)
  await assert.rejects(state.training(regression), /there is no "weight" \[3, 2\]/)
})

for (const name of ['cpu', 'webgpu'] as const) {
  test(`${name}: a program reads the parameters of another state as they stand`, async t => {
    const there = await opened(name)
    if (typeof there === 'string') return t.skip(there)
    await using device = there
    const [first, ...others] = start
    await using state = await device.state(others, { optimiser: adamw() })
    await using beside = await device.state([first!], { optimiser: adamw() })
    await using step = await state.training(regression, { beside: [beside] })
    await using turned = await beside.training(regression, { beside: [state] })
    await using whole = await state.compile(regression, { beside: [beside] })
    for (let i = 0; i < 2; i++) {
      for (const [from, own] of [
        [step, state],
        [turned, beside],
      ] as const) {
        const now = oracle(new Map([...(await state.read('parameter')), ...(await beside.read('parameter'))]))
        close((await from.accumulate(batch)).loss!.data, now.loss!)
        close((await whole(batch)).loss!.data, now.loss!)
        for (const [key, gradient] of await own.read('gradient')) close(gradient, now[`gradient:${key}`]!)
        await own.update({ learningRate: 0.1 })
      }
    }
  })
}

test('a gradient that is not finite updates nothing', async () => {
  await using device = await openDevice('cpu', { threads: 1 })
  await using state = await device.state(start, { optimiser: adamw() })
  await using step = await state.training(regression)
  await step.accumulate({ ...batch, x: hostTensor(ramp(12, Number.NaN), [4, 3]) })
  const { gradientNorm } = await state.update({ learningRate: 1 })
  assert.ok(Number.isNaN(gradientNorm))
  assert.equal(state.updates, 0)
  assert.deepEqual(await state.read('parameter'), initial)
})

test('errors inside the worker reach the caller, and the device goes on', async () => {
  await using device = await openDevice('cpu', { threads: 1 })
  await using state = await device.state(start, { optimiser: adamw() })
  await assert.rejects(state.update({ learningRate: 1 }), /no gradients were accumulated/)
  await assert.rejects(state.read('nothing'), /has no "nothing", only parameter, gradient, m, v/)
  assert.deepEqual(await state.read('parameter'), initial)
})

test('a disposed device rejects what is called', async () => {
  const device = await openDevice('cpu', { threads: 1 })
  const run = await device.compile(trace({ x: f32(2) }, (_, { x }) => mul(x, 2)))
  const pending = run({ x: hostTensor([1, 2]) })
  await device.dispose()
  assert.deepEqual([...(await pending).output!.data], [2, 4])
  await assert.rejects(run({ x: hostTensor([1, 2]) }), /has been disposed/)
  await run.dispose()
})
