import assert from 'node:assert/strict'
import { test } from 'node:test'
import { trace } from '../../tensor/program.js'
import { f32, i64 } from '../../tensor/tensor.js'
import { stableDiffusionUnet } from '../../testing/stable-diffusion.js'
import { controlNet } from '../../unet/control-net.js'
import { controlRenames } from './control-names.js'

test('every tensor of a ControlNet has a name in diffusers and comes back', () => {
  const { parameters } = trace({ x: f32(1, 4, 8, 8), t: i64(1), c: f32(1, 4, 768), hint: f32(1, 3, 64, 64) }, (at, i) =>
    Object.fromEntries(controlNet(at, stableDiffusionUnet, { ...i, context: i.c }).map((h, n) => [`${n}`, h])),
  )
  const { toDiffusers, toCompvis } = controlRenames(stableDiffusionUnet)
  const there = parameters.map(({ name, shape }) => toDiffusers(name, shape)!)
  assert.equal(new Set(there.map(({ name }) => name)).size, 340)
  assert.deepEqual(
    there.map(({ name, shape }) => toCompvis(name, shape)),
    parameters.map(({ name, shape }) => ({ name, shape })),
  )
  const known = new Set(there.map(({ name }) => name))
  for (const name of [
    'conv_in.weight',
    'controlnet_cond_embedding.conv_in.weight',
    'controlnet_cond_embedding.blocks.5.bias',
    'controlnet_cond_embedding.conv_out.weight',
    'controlnet_down_blocks.11.weight',
    'controlnet_mid_block.bias',
    'mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0.weight',
  ])
    assert.ok(known.has(name), name)
})
