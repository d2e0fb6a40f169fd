import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gradients } from '../autodiff/gradients.js'
import { evaluate } from '../tensor/evaluate.js'
import { type Program, trace } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import { f32 } from '../tensor/tensor.js'
import { square } from '../tensor/unary.js'
import { topological } from '../tensor/walk.js'
import { drawnParameters } from '../testing/parameters.js'
import { drawing } from '../testing/values.js'
import { unetConfig } from '../unet/config.js'
import { unet } from '../unet/unet.js'
import { lower } from './lower.js'
import type { Target } from './target.js'
import { candidates, usesWithChoice } from './tuning.js'

const stepOf = (useCheckpoint: boolean): Program => {
  const config = unetConfig.parse({
    in_channels: 2,
    out_channels: 2,
    model_channels: 32,
    num_res_blocks: 1,
    attention_resolutions: [2],
    channel_mult: [1, 1],
    num_head_channels: 16,
    use_spatial_transformer: true,
    context_dim: 8,
    use_scale_shift_norm: true,
    use_checkpoint: useCheckpoint,
  })
  return gradients(
    trace({ x: f32(1, 2, 4, 4), t: f32(1), context: f32(1, 2, 8) }, (at, inputs) => ({
      loss: mean(square(unet(at, config, inputs))),
    })),
  )
}
const draw = drawing(7)
const inputs = {
  x: draw.normal(1, 2, 4, 4),
  t: { shape: [1], data: Float64Array.of(20) },
  context: draw.normal(1, 2, 8),
}
const step = stepOf(false)
const given = { ...inputs, ...drawnParameters(step) }
const wanted = evaluate(Object.values(step.outputs), given)
const training: Target = { device: 'cpu', training: true, contrib: true }

/** Everything by the lowering of one name, where it fits. */
const allBy = (name: string): Target => {
  const uses = usesWithChoice(topological(Object.values(step.outputs)), training)
  const fitting = [...uses].filter(([, node]) => candidates(node, training).includes(name))
  assert.ok(fitting.length > 0)
  return { ...training, tuned: Object.fromEntries(fitting.map(([use]) => [use, name])) }
}

const targets: Record<string, Target> = {
  'the processor': training,
  'the processor, operators of the standard': { ...training, contrib: false },
  'the processor, Winograd F4 throughout': allBy('winograd4'),
  'the processor, Winograd F2 throughout': allBy('winograd2'),
  'the processor, products for each tap': allBy('taps'),
  WebGPU: { ...training, device: 'webgpu' },
}

for (const [name, target] of Object.entries(targets)) {
  test(`loss and gradients of a UNet lowered for ${name} are those of the definition`, () => {
    for (const program of target === training ? [step, stepOf(true)] : [step]) {
      const found = evaluate(Object.values(lower(program, target).outputs), given)
      for (const [i, { data }] of wanted.entries()) {
        // By the loss's own scale: of some gradients only rounding is left.
        for (const [k, v] of data.entries()) {
          const difference = Math.abs(found[i]!.data[k]! - v)
          assert.ok(difference < 1e-9 * (1 + Math.abs(v)), `${Object.keys(step.outputs)[i]}: ${difference}`)
        }
      }
    }
  })
}
