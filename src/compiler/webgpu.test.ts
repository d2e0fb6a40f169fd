import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node'
import { gradients } from '../autodiff/gradients.js'
import { type Program, trace } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import { f32 } from '../tensor/tensor.js'
import { square } from '../tensor/unary.js'
import { drawnParameters } from '../testing/parameters.js'
import { drawing } from '../testing/values.js'
import { openWebgpu } from '../testing/webgpu.js'
import { type UnetOptions, unetConfig } from '../unet/config.js'
import { unet } from '../unet/unet.js'
import { emitProgram } from './emit.js'
import { lower } from './lower.js'
import type { Target } from './target.js'

const small: UnetOptions = {
  in_channels: 4,
  out_channels: 4,
  model_channels: 32,
  num_res_blocks: 1,
  attention_resolutions: [2],
  channel_mult: [1, 2],
  num_head_channels: 32,
}
const transformers: UnetOptions = {
  ...small,
  use_spatial_transformer: true,
  context_dim: 16,
  use_scale_shift_norm: true,
}

const stepOf = (options: UnetOptions): Program => {
  const config = unetConfig.parse(options)
  const specs = { x: f32(1, 4, 8, 8), t: f32(1), ...(options.context_dim != null && { context: f32(1, 3, 16) }) }
  return gradients(
    trace(specs as { x: typeof specs.x; t: typeof specs.t; context?: typeof specs.x }, (at, { x, t, context }) => ({
      loss: mean(square(unet(at, config, { x: x!, t: t!, context }))),
    })),
  )
}

const target = (device: 'cpu' | 'webgpu'): Target => ({ device, training: true, contrib: true })
const modelOf = (step: Program, device: 'cpu' | 'webgpu') =>
  emitProgram(lower(step, target(device)), { settled: true }).bytes

/** What the runtime has no kernel for on WebGPU, and runs on the processor with a copy there and back. */
const processorOnly = [
  ...['FusedMatMul', 'FusedGemm', 'GroupNormalization', 'LogSoftmax', 'ArgMin', 'Sum', 'Col2Im', 'RandomNormalLike'],
  ...['Or', 'Sign', 'ScatterElements', 'ScatterND'],
]

for (const [name, options] of Object.entries({ 'a small UNet': small, 'one with transformers': transformers })) {
  test(`a training step of ${name} holds no operator that WebGPU lacks`, () => {
    const bytes = Buffer.from(modelOf(stepOf(options), 'webgpu'))
    for (const type of processorOnly) {
      // As an encoded string of that length: field 4 of a node.
      const field = Buffer.from([0x22, type.length, ...Buffer.from(type)])
      assert.ok(!bytes.includes(field), `${type} would run on the processor`)
    }
  })
}

test('a whole training step runs on WebGPU alone, with the gradients of the processor', async t => {
  const device = await openWebgpu()
  if (typeof device === 'string') return t.skip(device)
  await device.dispose()
  const step = stepOf(transformers)
  const draw = drawing(1)
  const numbers = {
    x: draw.normal(1, 4, 8, 8),
    t: { shape: [1], data: [300] },
    context: draw.normal(1, 3, 16),
    ...drawnParameters(step),
  }
  const feeds = Object.fromEntries(
    Object.entries(numbers).map(([name, { shape, data }]) => [
      name,
      new RuntimeTensor('float32', Float32Array.from(data), [...shape]),
    ]),
  )
  const [wanted, found] = await Promise.all(
    (['cpu', 'webgpu'] as const).map(async name => {
      const session = await InferenceSession.create(modelOf(step, name), {
        executionProviders: [name],
        graphOptimizationLevel: 'disabled',
        logSeverityLevel: 4,
        // Refuses a program of which a part would run on the processor.
        extra: { session: { disable_cpu_ep_fallback: name === 'webgpu' ? '1' : '0' } },
      })
      const results = await session.run(feeds)
      await session.release()
      return results
    }),
  )
  const largest = (data: Float32Array) => data.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
  const scale = Math.max(...Object.values(wanted!).map(({ data }) => largest(data as Float32Array)))
  for (const [name, { data }] of Object.entries(wanted!)) {
    const other = found![name]!.data as Float32Array
    const difference = largest((data as Float32Array).map((v, i) => v - other[i]!))
    assert.ok(difference <= 1e-4 * scale, `${name} differs by ${difference} where the largest number is ${scale}`)
  }
})
