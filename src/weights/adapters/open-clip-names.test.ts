import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drawing } from '../../testing/values.js'
import { fromFloat32, type TensorData, toFloat32 } from '../dtypes.js'
import { encodeSafetensors } from '../safetensors.js'
import { openAdapter } from './adapter.js'
import { adaptedWeights } from './merge.js'
import { openClipModules } from './open-clip-names.js'

const layer = 'conditioner.embedders.1.model.transformer.resblocks.3'
const [fused, first] = [`${layer}.attn.in_proj_weight`, `${layer}.mlp.c_fc.weight`]
const drawn = (seed: number, ...shape: number[]): TensorData =>
  fromFloat32(Float32Array.from(drawing(seed).normal(...shape).data), shape)
const weights = new Map([
  [fused, drawn(1, 12, 4)],
  [first, drawn(2, 16, 4)],
  [`${layer}.attn.in_proj_bias`, drawn(3, 12)],
])

test('an adapter of one projection changes its third of the three that OpenCLIP keeps together', async () => {
  for (const prefix of ['lora_te2_text_model_encoder_layers_3_', 'text_encoder_2.text_model.encoder.layers.3.']) {
    const name = (module: string) => prefix + (prefix.endsWith('_') ? module.replaceAll('.', '_') : module)
    const factors: Record<string, TensorData> = {
      [`${name('self_attn.k_proj')}.lora_down.weight`]: drawn(4, 2, 4),
      [`${name('self_attn.k_proj')}.lora_up.weight`]: drawn(5, 4, 2),
      [`${name('mlp.fc1')}.lora_down.weight`]: drawn(6, 1, 4),
      [`${name('mlp.fc1')}.lora_up.weight`]: drawn(7, 16, 1),
    }
    const adapter = await openAdapter(encodeSafetensors(new Map(Object.entries(factors))))
    const model = { name: 'model', tensors: weights, read: async (key: string) => weights.get(key)! }
    const merged = adaptedWeights(model, new Map(), [{ adapter, weight: 0.5 }])
    const [before, after] = [toFloat32(weights.get(fused)!), toFloat32(await merged.read(fused))]
    const [down, up] = [toFloat32(drawn(4, 2, 4)), toFloat32(drawn(5, 4, 2))]
    for (let i = 0; i < 48; i++) {
      const [row, column] = [Math.floor(i / 4) - 4, i % 4]
      const inside = row >= 0 && row < 4
      const change = inside ? up[2 * row]! * down[column]! + up[2 * row + 1]! * down[4 + column]! : 0
      assert.ok(Math.abs(after[i]! - before[i]! - 0.5 * change) < 1e-6, `number ${i}`)
    }
    assert.notDeepEqual(toFloat32(await merged.read(first)), toFloat32(weights.get(first)!))
  }
})

test("Stable Diffusion 2's encoder is the only one, XL's refiner has the second one first", () => {
  const names = (weight: string) => [...openClipModules([weight])].map(([name]) => name)
  const inner = 'transformer.resblocks.0.mlp.c_proj.weight'
  const path = 'text_model.encoder.layers.0.mlp.fc2'
  const kohya = path.replaceAll('.', '_')
  assert.deepEqual(names(`cond_stage_model.model.${inner}`), [`text_encoder.${path}`, `lora_te_${kohya}`])
  assert.deepEqual(names(`conditioner.embedders.0.model.${inner}`), [`text_encoder_2.${path}`, `lora_te2_${kohya}`])
  assert.deepEqual(names(`cond_stage_model.transformer.${inner}`), [])
})
