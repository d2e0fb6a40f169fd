import assert from 'node:assert/strict'
import { test } from 'node:test'
import { add } from '../tensor/binary.js'
import { evaluate } from '../tensor/evaluate.js'
import { type Program, trace } from '../tensor/program.js'
import { f32, i64, type Value } from '../tensor/tensor.js'
import { drawnParameters } from '../testing/parameters.js'
import { stableDiffusionUnet } from '../testing/stable-diffusion.js'
import { drawing } from '../testing/values.js'
import { unetConfig } from './config.js'
import { controlNet } from './control-net.js'
import { unet } from './unet.js'

const config = unetConfig.parse({
  in_channels: 3,
  out_channels: 3,
  model_channels: 32,
  num_res_blocks: 1,
  attention_resolutions: [2],
  channel_mult: [1, 1],
  num_heads: 2,
})
const inputs: Record<string, Value> = {
  x: drawing(1).normal(1, 3, 4, 4),
  t: drawing(2).indices(1000, 1),
  hint: drawing(3).positive(1, 3, 16, 16),
}
const specs = { x: f32(1, 3, 4, 4), t: i64(1), hint: f32(1, 3, 16, 16) }
const alone = trace(specs, (at, { x, t }) => unet(at('model'), config, { x, t }))
const controlled = trace({ ...specs, strength: f32() }, (at, { x, t, hint, strength }) =>
  unet(at('model'), config, {
    x,
    t,
    control: controlNet(at('control_model'), config, { x, t, hint, strength: [strength!] }),
  }),
)
const run = (program: Program, values: Record<string, Value>) =>
  evaluate([program.outputs.output!], { ...inputs, ...values })[0]!.data
const number = (value: number): Value => ({ shape: [], data: Float64Array.of(value) })

test('an untrained ControlNet leaves every number of the network as it is; its strength and others add', () => {
  const values = drawnParameters(controlled)
  const trained = run(controlled, { ...values, strength: number(1) })
  const zero = { ...values }
  for (const name of Object.keys(values)) {
    if (/zero_convs|middle_block_out/.test(name))
      zero[name] = { ...values[name]!, data: values[name]!.data.map(() => 0) }
  }
  assert.deepEqual(run(controlled, { ...zero, strength: number(1) }), run(alone, values))
  assert.deepEqual(run(controlled, { ...values, strength: number(0) }), run(alone, values))
  assert.notDeepEqual(trained, run(alone, values))

  const twice = trace(specs, (at, { x, t, hint }) => {
    const one = () => controlNet(at('control_model'), config, { x, t, hint })
    const [first, second] = [one(), one()]
    return unet(at('model'), config, { x, t, control: first.map((h, i) => add(h, second[i]!)) })
  })
  const double = run(controlled, { ...values, strength: number(2) })
  assert.ok(run(twice, values).every((v, i) => Math.abs(v - double[i]!) < 1e-9))
})

test('of Stable Diffusion 1.5 it has the names and shapes of the published checkpoints', () => {
  const { parameters } = trace({ x: f32(1, 4, 8, 8), t: i64(1), c: f32(1, 4, 768), hint: f32(1, 3, 64, 64) }, (at, i) =>
    Object.fromEntries(
      controlNet(at('control_model'), stableDiffusionUnet, { ...i, context: i.c }).map((h, n) => [`${n}`, h]),
    ),
  )
  const shapes = new Map(parameters.map(({ name, shape }) => [name, shape]))
  // 340 tensors, 361,279,120 numbers: control_v11p_sd15_canny.pth.
  assert.equal(shapes.size, 340)
  assert.equal(
    parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b), 0),
    361_279_120,
  )
  assert.deepEqual(
    [0, 2, 4, 6, 8, 10, 12, 14].map(i => shapes.get(`control_model.input_hint_block.${i}.weight`)),
    [
      [16, 3],
      [16, 16],
      [32, 16],
      [32, 32],
      [96, 32],
      [96, 96],
      [256, 96],
      [320, 256],
    ].map(s => [...s, 3, 3]),
  )
  assert.deepEqual(shapes.get('control_model.zero_convs.11.0.weight'), [1280, 1280, 1, 1])
  assert.deepEqual(shapes.get('control_model.middle_block_out.0.bias'), [1280])
})

test('a hint of another size is refused', () => {
  const traced = (side: number) =>
    trace({ ...specs, hint: f32(1, 3, side, side) }, (at, { x, t, hint }) => controlNet(at, config, { x, t, hint })[0]!)
  assert.throws(() => traced(24), /24x24 pixels is no power of 2 larger than the latents of 4x4/)
  const convolutions = (side: number) =>
    traced(side).parameters.filter(({ name }) => /input_hint_block.*weight/.test(name)).length
  assert.deepEqual([convolutions(4), convolutions(16), convolutions(64)], [2, 6, 10])
})
