import assert from 'node:assert/strict'
import { test } from 'node:test'
import { modelConfig } from '../../pipelines/model-config.js'
import { published, shapesOf } from '../../testing/published.js'
import { families, recognise } from './recognise.js'

for (const { family, config, tiny } of published) {
  for (const [size, json] of Object.entries({ 'full size': config, 'few channels': tiny })) {
    const { image_size } = json.unet_config as { image_size: number }
    test(`${family} of ${image_size}x${image_size} latents, ${size}: its names and shapes give its configuration`, () => {
      const found = recognise(shapesOf(json))
      assert.equal(found?.family.name, family)
      assert.deepEqual(modelConfig.parse(found!.config), modelConfig.parse(json))
    })
  }
}

test('every family is recognised or has the tensors of another one', () => {
  const told = new Set(published.map(({ family }) => family))
  const rest = families.map(({ name }) => name).filter(name => !told.has(name))
  assert.deepEqual(rest, ['sd2-v', 'sdxl-inpainting', 'sdxl-turbo', 'autoencoder-kl', 'autoencoder-vq', 'taesd'])
})
