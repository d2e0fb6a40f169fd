import assert from 'node:assert/strict'
import { test } from 'node:test'
import { published } from '../../testing/published.js'
import type { UnetLayout } from '../diffusers/unet-names.js'
import { strengthAt } from './strength.js'

const unetOf = (family: string) => published.find(p => p.family === family)!.config.unet_config as UnetLayout
const inner = (block: string) => `model.diffusion_model.${block}.1.proj_in.weight`
/** The blocks with attention, by the names that A1111's extension gives their numbers. */
const attending = {
  sd1: 'in1 in2 in4 in5 in7 in8 mid out3 out4 out5 out6 out7 out8 out9 out10 out11',
  sdxl: 'in4 in5 in7 in8 mid out0 out1 out2 out3 out4 out5',
}
const place = (short: string) =>
  short === 'mid' ? 'middle_block' : short.replace(/^in/, 'input_blocks.').replace(/^out/, 'output_blocks.')

for (const [family, list] of Object.entries(attending)) {
  test(`${family}: weights of blocks are those of the extension of A1111's web interface`, () => {
    const unet = unetOf(family)
    const names = list.split(' ').map(place)
    const at = strengthAt({ weight: 2, blocks: [10, ...names.map((_, i) => i + 1)] }, unet)
    assert.deepEqual(
      names.map(name => at(inner(name))),
      names.map((_, i) => 2 * (i + 1)),
    )
    assert.equal(at('cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight'), 20)
    assert.equal(at('model.diffusion_model.time_embed.0.weight'), 2, 'in no block')
    assert.equal(at(inner('input_blocks.3')), 0, 'a block without attention')
  })
}

test('all blocks may be listed: 26 numbers for Stable Diffusion 1, 20 for XL', () => {
  for (const [family, count] of [
    ['sd1', 26],
    ['sdxl', 20],
  ] as const) {
    const blocks = Array.from({ length: count }, (_, i) => i)
    const at = strengthAt({ blocks }, unetOf(family))
    const half = (count - 2) / 2
    assert.deepEqual(
      ['input_blocks.0', 'input_blocks.3', 'middle_block', 'output_blocks.0'].map(name => at(inner(name))),
      [1, 4, half + 1, half + 2],
    )
    assert.equal(at(inner(`output_blocks.${half - 1}`)), count - 1)
  }
})

test('text encoders have a weight of their own; lists of another length are refused', () => {
  const text = 'conditioner.embedders.1.model.transformer.resblocks.0.mlp.c_fc.weight'
  const unet = unetOf('sdxl')
  assert.deepEqual(
    [{}, { weight: 0.5 }, { weight: 0.5, textWeight: 0 }].map(s => strengthAt(s, unet)(text)),
    [1, 0.5, 0],
  )
  assert.equal(strengthAt({ weight: 0.5, textWeight: 0 }, unet)(inner('middle_block')), 0.5)
  assert.throws(() => strengthAt({ blocks: [1, 2, 3] }, unet), /for 3 blocks; this model takes 12 \(.*\) or 20/)
})
