import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { stableDiffusionUnet } from '../../testing/stable-diffusion.js'
import { fromFloat32, type TensorData, toFloat32 } from '../dtypes.js'
import { encodeSafetensors } from '../safetensors.js'
import { openAdapter } from './adapter.js'
import { adaptedWeights } from './merge.js'
import { moduleNames } from './names.js'

interface Numbers {
  readonly shape: readonly number[]
  readonly data: readonly number[]
}
/** One layer as LyCORIS 3 saves it, and the weight that its forward pass has in effect, an input at a time. */
interface Case {
  readonly name: string
  readonly weight: Numbers
  readonly tensors: Readonly<Record<string, Numbers>>
  readonly merged: readonly number[]
}
const file = new URL('../../../fixtures/weights/adapters/lycoris.json', import.meta.url)
const cases: readonly Case[] = JSON.parse(await readFile(file, 'utf8'))

const tensor = ({ shape, data }: Numbers): TensorData => fromFloat32(Float32Array.from(data), shape)
const places = {
  linear: ['input_blocks.1.1.proj_in', 'down_blocks_0_attentions_0_proj_in'],
  conv: ['input_blocks.1.0.in_layers.2', 'down_blocks_0_resnets_0_conv1'],
} as const

for (const { name, weight, tensors, merged } of cases)
  test(`${name}: the weight that LyCORIS computes with`, async () => {
    const [inner, kohya] = places[weight.shape.length === 2 ? 'linear' : 'conv']
    const place = `model.diffusion_model.${inner}.weight`
    const parts = Object.entries(tensors).map(
      ([part, numbers]) => [`lora_unet_${kohya}.${part}`, tensor(numbers)] as const,
    )
    const adapter = await openAdapter(encodeSafetensors(new Map(parts)))
    const model = { name: 'model', tensors: new Map([[place, tensor(weight)]]), read: async () => tensor(weight) }
    const changed = adaptedWeights(model, moduleNames([place], stableDiffusionUnet), [{ adapter, weight: 1 }])
    const found = toFloat32(await changed.read(place))
    const worst = merged.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i]!)), 0)
    assert.ok(worst < 2e-5, String(worst))
  })
