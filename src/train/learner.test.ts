import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node'
import { gradients } from '../autodiff/gradients.js'
import { emitProgram } from '../compiler/emit.js'
import { lower } from '../compiler/lower.js'
import { type Device, hostTensor, openDevice } from '../runtime/index.js'
import { mul } from '../tensor/binary.js'
import { trace } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import { f32 } from '../tensor/tensor.js'
import { square } from '../tensor/unary.js'
import { openWebgpu } from '../testing/webgpu.js'
import { unetConfig } from '../unet/config.js'
import { unet } from '../unet/unet.js'
import { initialise } from './initialise.js'
import { openLearner } from './learner.js'
import { lossScaled } from './loss-scale.js'
import { prepareDevice } from './prepare-device.js'
import { trainingSettings } from './settings.js'

const config = unetConfig.parse({
  in_channels: 4,
  out_channels: 4,
  model_channels: 32,
  channel_mult: [1],
  num_res_blocks: 1,
  attention_resolutions: [1],
  num_head_channels: 16,
  use_spatial_transformer: true,
  context_dim: 16,
})
const programOf = (batch: number) =>
  trace({ x: f32(batch, 4, 8, 8), t: f32(batch), context: f32(batch, 3, 16) }, (at, inputs) => ({
    loss: mean(square(unet(at, config, inputs))),
  }))
const ramp = (length: number, from: number) => Float32Array.from({ length }, (_, i) => Math.sin((from + i) * 1.3))
/** Some of the samples that all tests see. */
const samples = (from: number, batch: number) => ({
  x: hostTensor(ramp(batch * 256, from * 256), [batch, 4, 8, 8]),
  t: hostTensor(Float32Array.from({ length: batch }, (_, i) => 7 * (from + i))),
  context: hostTensor(ramp(batch * 48, from * 48), [batch, 3, 16]),
})
/** First weights, with something in place of the zeros behind which no gradient would arrive. */
const begin = new Map(
  [...initialise(programOf(1).parameters, 1)].map(([name, numbers]) => [
    name,
    numbers.every(x => x === 0) ? ramp(numbers.length, 0).map(x => x / 20) : numbers,
  ]),
)
const settings = trainingSettings.parse({ steps: 9, batch: 1, learning_rate: 1e-3, clip: 1 })

describe('a step', () => {
  let device: Device
  before(async () => {
    device = await openDevice('cpu', { threads: 1 })
  })
  after(() => device.dispose())

  /** The gradients of a step whose samples come in parts. */
  async function gradientsOf(parts: number, checkpoint = false): Promise<Map<string, Float32Array>> {
    const info = { library: '', config: {} }
    const program = programOf(4 / parts)
    const given = { device, program, frozen: new Map(), settings: { ...settings, checkpoint }, path: '', info, begin }
    await using learner = await openLearner(given)
    for (let i = 0; i < parts; i++) await learner.accumulate(samples((i * 4) / parts, 4 / parts), 1 / parts)
    return learner.state.read('gradient')
  }
  const same = (found: ReadonlyMap<string, Float32Array>, wanted: ReadonlyMap<string, Float32Array>) => {
    const largest = Math.max(
      ...[...wanted.values()].map(numbers => numbers.reduce((a, b) => Math.max(a, Math.abs(b)), 0)),
    )
    for (const [name, numbers] of wanted) {
      const other = found.get(name)!
      assert.ok(
        numbers.every((x, i) => Math.abs(x - other[i]!) < 1e-6 * largest),
        name,
      )
    }
  }

  test('in parts, or with activations computed anew, has the gradients of one in a single batch', async () => {
    const whole = await gradientsOf(1)
    same(await gradientsOf(4), whole)
    same(await gradientsOf(1, true), whole)
  })

  test('in mixed precision is refused by processors before anything else, and by cards without float16', async () => {
    const prepare = async (on: Device) => {
      for await (const _ of prepareDevice(on, { ...settings, precision: 'mixed' }, undefined));
    }
    await assert.rejects(
      prepare(device),
      /float16 .* not to be had: processors are no faster with them.*--device webgpu/,
    )
    const webgpu = await openWebgpu()
    if (typeof webgpu === 'string') return
    await using card = webgpu
    await prepare(card).catch((error: Error) =>
      assert.match(error.message, /the device webgpu has none .*update the driver/),
    )
  })
})

// The runtime on the processor computes each product in float32 between roundings to float16: the card's numbers, slowly.
test('products in float16 of a scaled loss give the gradients of float32 to their precision', async () => {
  const program = programOf(2)
  const inputs = samples(0, 2)
  const feeds = Object.fromEntries([
    ...Object.entries(inputs).map(([name, { data, shape }]) => [
      name,
      new RuntimeTensor('float32', data as Float32Array, [...shape]),
    ]),
    ...program.parameters.map(({ name, shape }) => [name, new RuntimeTensor('float32', begin.get(name)!, [...shape])]),
  ])
  const run = async (half: boolean) => {
    const scale = half ? 2 ** 16 : 1
    const scaled = gradients({ ...program, outputs: { loss: mul(program.outputs.loss!, scale) } })
    const lowered = lower(scaled, { device: 'webgpu', training: true, contrib: true, half })
    const session = await InferenceSession.create(emitProgram(lowered, { settled: true }).bytes, {
      graphOptimizationLevel: 'disabled',
      intraOpNumThreads: 1,
      logSeverityLevel: 3,
    })
    const { loss, ...rest } = await session.run(feeds)
    return Object.values(rest).flatMap(({ data }) => [...(data as Float32Array)].map(x => x / scale))
  }
  const [wanted, found] = [await run(false), await run(true)]
  const norm = (numbers: readonly number[]) => Math.sqrt(numbers.reduce((sum, x) => sum + x * x, 0))
  const difference = norm(wanted.map((x, i) => x - found[i]!)) / norm(wanted)
  assert.ok(difference > 1e-5 && difference < 2e-3, String(difference))
})

test('a loss whose gradients overflow is scaled less until they do not; after long it is scaled more', async () => {
  const seen: number[] = []
  let reach = 2 ** 13
  const state = {
    lossScale: 2 ** 16,
    update: async () => ({ gradientNorm: state.lossScale > reach ? Number.POSITIVE_INFINITY : 1 }),
  }
  const step = {
    async accumulate() {
      seen.push(state.lossScale)
      return {}
    },
  }
  const scaled = lossScaled(state, step, undefined)
  const one = async () => {
    await scaled.accumulate({}, { scale: 0.5 })
    await scaled.accumulate({}, { scale: 0.5 })
    return scaled.update({ learningRate: 1 })
  }
  assert.deepEqual(await one(), { gradientNorm: 1 })
  assert.deepEqual(
    seen,
    [16, 16, 15, 15, 14, 14, 13, 13].map(power => 2 ** power),
  )
  for (let i = 0; i < 1998; i++) await scaled.update({ learningRate: 1 })
  assert.deepEqual(scaled.lossScale, { value: 2 ** 13, updates: 1999 })
  reach = 2 ** 20
  await one()
  assert.deepEqual(scaled.lossScale, { value: 2 ** 14, updates: 0 })
  assert.deepEqual(lossScaled(state, step, { value: 8, updates: 5 }).lossScale, { value: 8, updates: 5 })

  reach = 0
  assert.equal((await one()).gradientNorm, Number.POSITIVE_INFINITY)
  assert.equal(state.lossScale, 1, 'not the scale is at fault')
})
