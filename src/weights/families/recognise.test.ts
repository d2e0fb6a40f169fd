import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import fc from 'fast-check'
import { modelConfig } from '../../pipelines/model-config.js'
import { shapesOf } from '../../testing/checkpoint.js'
import { published } from '../../testing/published.js'
import { unetConfig } from '../../unet/config.js'
import { firstStageWords } from './first-stage-words.js'
import { namesOf } from './names.js'
import { families, recognise } from './recognise.js'
import { unetWords } from './unet-words.js'

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
  assert.deepEqual(rest, ['sd2-v', 'sdxl-turbo', 'autoencoder-kl', 'autoencoder-vq', 'taesd'])
})

test('shapes and names that make no sense are recognised as something or as nothing, and never fail', () => {
  const all = published.map(({ tiny }) => [...shapesOf(tiny)])
  const size = fc.oneof(fc.nat(40), fc.constantFrom(0, 1, 2 ** 31, 2 ** 52))
  const change = fc.record({
    at: fc.nat(),
    shape: fc.option(fc.array(size, { maxLength: 5 }), { nil: undefined }),
  })
  fc.assert(
    fc.property(fc.nat(all.length - 1), fc.array(change, { maxLength: 30 }), (which, changes) => {
      const tensors = new Map(all[which])
      const important = [...tensors.keys()].filter(name =>
        /\.0\.|embed|label|attn_1|conv_in|conv_out|quant|to_k/.test(name),
      )
      for (const { at, shape } of changes) {
        const name = important[at % important.length]!
        if (shape === undefined) tensors.delete(name)
        else tensors.set(name, { shape })
      }
      const found = recognise(tensors)
      if (found) modelConfig.safeParse(found.config)
    }),
    { numRuns: 200, seed: 5 },
  )
})

test('a family of the same tensors as another one is known by its name', () => {
  const named = (family: string, name: string) => {
    const { config } = recognise(shapesOf(published.find(p => p.family === family)!.tiny), name)!
    const { diffusion, unet_config } = modelConfig.parse(config)
    return [unet_config!.image_size, diffusion!.parameterization]
  }
  assert.deepEqual(named('sdxl', 'sdxl-turbo'), [64, 'epsilon'])
  assert.deepEqual(named('sd2', 'sd2-v'), [96, 'v'])
})

test('models that have the networks of a family but another meaning are not of it', () => {
  const shapes = (family: string) => shapesOf(published.find(p => p.family === family)!.tiny)
  const playground = shapes('sdxl').set('edm_mean', { shape: [4] })
  assert.equal(recognise(playground), undefined)
  const unclip = shapes('sdxl-refiner').set('model.diffusion_model.label_emb.0.0.weight', { shape: [256, 1536] })
  assert.equal(recognise(unclip), undefined)
  const pix2pix = shapes('sd1').set('model.diffusion_model.input_blocks.0.0.weight', { shape: [32, 8, 3, 3] })
  assert.equal(recognise(pix2pix), undefined)
})

type Shapes = Record<string, readonly number[]>
/** Names and shapes that the reference code gives its own tensors, and the configuration that it was given. */
async function reference(
  name: string,
): Promise<{ config: Record<string, unknown>; names: ReturnType<typeof namesOf> }> {
  const url = new URL(`../../../fixtures/weights/diffusers/${name}.json`, import.meta.url)
  const { compvisConfig, compvis } = JSON.parse(await readFile(url, 'utf8')) as {
    compvisConfig: Record<string, unknown>
    compvis: Shapes
  }
  const shapes = Object.entries(compvis).map(([name, shape]) => [name, { shape }] as const)
  return { config: compvisConfig, names: namesOf(new Map(shapes)) }
}

for (const name of ['unet-sd1', 'unet-sd2', 'unet-sdxl']) {
  test(`${name}: the reference code's names give its configuration`, async () => {
    const { config, names } = await reference(name)
    const { image_size, num_heads, num_head_channels, spatial_transformer_attn_type } = config
    const untold = { image_size, num_heads, num_head_channels, spatial_transformer_attn_type }
    const told = unetConfig.parse({ ...JSON.parse(JSON.stringify(untold)), ...unetWords(names, '') })
    // `legacy` is another rule for the same heads.
    const { attention_resolutions: a, legacy: _, ...found } = told
    const { attention_resolutions: b, legacy: __, ...wanted } = unetConfig.parse(config)
    assert.deepEqual(found, { ...wanted, use_spatial_transformer: found.use_spatial_transformer })
    assert.deepEqual(a.toSorted(), b.toSorted())
  })
}

test("an autoencoder: the reference code's names give its configuration", async () => {
  for (const name of ['autoencoder-kl', 'autoencoder-kl-attention']) {
    const { config, names } = await reference(name)
    const {
      class: _,
      scale_factor: __,
      ddconfig,
      ...wanted
    } = config as { [word: string]: unknown; ddconfig: { resolution: number; attn_resolutions: number[] } }
    const found = firstStageWords(names, '') as unknown as typeof config & { ddconfig: object }
    // How large its pictures were is not told: sizes are counted from 256.
    const attn_resolutions = ddconfig.attn_resolutions.map(size => (256 * size) / ddconfig.resolution)
    assert.deepEqual(found, { ...wanted, ddconfig: { ...ddconfig, resolution: 256, attn_resolutions } })
  }
})
