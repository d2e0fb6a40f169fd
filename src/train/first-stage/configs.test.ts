import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type AutoencoderConfig, downsamplingFactor, hasCodebook, type VqConfig } from '../../autoencoder/config.js'
import { parseConfig } from '../../schema/index.js'
import type { Program } from '../../tensor/program.js'
import { sizeOf } from '../../tensor/shape.js'
import { testDevice } from '../../testing/device.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { discriminatorProgram } from './adversary-programs.js'
import { autoencoderProgram } from './programs.js'
import { type AutoencoderRecipe, autoencoderRecipe } from './recipe.js'
import { trainAutoencoder } from './train-autoencoder.js'
import { discriminatorScope, stageScope } from './training.js'

const configs = fileURLToPath(new URL('../../../configs', import.meta.url))

/** [latents' side, channels, codes] at 256x256 and, where it was published, millions of parameters. */
const published: Record<string, { latents: [number, number]; codes?: number; size?: number }> = {
  'kl-f4': { latents: [64, 3] },
  'kl-f8': { latents: [32, 4], size: 83.65 },
  'kl-f16': { latents: [16, 16] },
  'kl-f32': { latents: [8, 64] },
  'kl-f4-upscaler': { latents: [64, 4] },
  'vq-f4': { latents: [64, 3], codes: 8192, size: 55.35 },
  'vq-f4-noattn': { latents: [64, 3], codes: 8192 },
  'vq-f8': { latents: [32, 4], codes: 16384 },
  'vq-f8-n256': { latents: [32, 4], codes: 256 },
  'vq-f16': { latents: [16, 8], codes: 16384 },
}

/** LPIPS over SqueezeNet, as it is published in two files: the bundled network stands for torchvision's. */
const lpipsFiles = [
  '../../../models/squeezenet1_1_features.safetensors',
  '../../../fixtures/conformance/metrics/lpips_heads/weights_squeeze.safetensors',
].map(file => fileURLToPath(new URL(file, import.meta.url)))

const recipeAt = async (path: string): Promise<AutoencoderRecipe> =>
  parseConfig(await readFile(path, 'utf8'), autoencoderRecipe, path)
const millions = ({ parameters }: Program, scope: string) =>
  parameters.filter(({ name }) => name.startsWith(`${scope}.`)).reduce((sum, { shape }) => sum + sizeOf(shape), 0) / 1e6
/** Levels with attention, each in its part of the network. */
const attentions = ({ parameters }: Program) =>
  new Set(parameters.flatMap(({ name }) => /(down\.\d+|mid)\.attn/.exec(name)?.[1] ?? []))

const folder = await temporaryFolder()
const device = await testDevice()

test('every full-size first stage is traced, with the sizes that were published', async () => {
  for (const [name, { latents, codes, size }] of Object.entries(published)) {
    const recipe = await recipeAt(join(configs, `${name}.yaml`))
    const { first_stage_config: stage, training, crop, loss } = recipe
    const generator = autoencoderProgram(recipe, training.batch, crop!, 'train')
    const judge = discriminatorProgram(recipe, training.batch, crop!)
    const expected = [latents[1], codes, crop! / downsamplingFactor(stage.ddconfig)]
    const found = [stage.embed_dim, hasCodebook(stage) ? stage.n_embed : undefined, latents[0]]
    assert.deepEqual(found, expected, name)
    if (size)
      assert.ok(Math.abs(millions(generator, stageScope) - size) < 0.06, `${name}: ${millions(generator, stageScope)}`)
    // The patch discriminator of pix2pix with 3 layers and 64 channels has 2.76 million.
    assert.ok(Math.abs(millions(judge, discriminatorScope) - (loss.disc_num_layers === 3 ? 2.76 : 0.66)) < 0.01, name)
    assert.equal(
      Number(training.learning_rate.toPrecision(6)),
      Number((4.5e-6 * training.batch * training.accumulate).toPrecision(6)),
    )
    assert.deepEqual(training.betas, [0.5, 0.9])
    assert.deepEqual(attentions(generator), attentionsOf(stage))
  }
})

function attentionsOf({ ddconfig }: AutoencoderConfig | VqConfig): Set<string> {
  const levels = ddconfig.ch_mult.keys()
  const down = [...levels].filter(level => ddconfig.attn_resolutions.includes(ddconfig.resolution / 2 ** level))
  return new Set(ddconfig.attn_type === 'none' ? [] : [...down.map(level => `down.${level}`), 'mid'])
}

for (const name of Object.keys(published)) {
  test(`${name} has a tiny twin, which trains on photographs`, async () => {
    const full = await recipeAt(join(configs, `${name}.yaml`))
    const tiny = await recipeAt(join(configs, 'tiny', `${name}.yaml`))
    const kept = ({ first_stage_config: stage, loss }: AutoencoderRecipe) => [
      stage.embed_dim,
      stage.ddconfig.ch_mult,
      stage.ddconfig.attn_type,
      hasCodebook(stage),
      loss.reduction,
      loss.disc_num_layers,
      loss.disc_weight,
    ]
    assert.deepEqual(kept(tiny), kept(full), name)
    // A narrower network, fewer pictures, two steps: whether the parts fit. What judges is the same in all, so two show it.
    const { first_stage_config: stage, data, loss, training } = tiny
    const judged = name === 'kl-f8' || name === 'vq-f4'
    const abort = new AbortController()
    const events = trainAutoencoder({
      device,
      recipe: {
        ...tiny,
        data: { ...data, folder: resolve(configs, 'tiny', data.folder!), size: 32 },
        first_stage_config: { ...stage, ddconfig: { ...stage.ddconfig, ch: 8, num_groups: 2, resolution: 32 } },
        loss: {
          ...loss,
          disc_start: judged ? 1 : undefined,
          disc_ndf: 2,
          perceptual_weight: judged ? loss.perceptual_weight : 0,
          ...(name === 'kl-f8' && { perceptual_loss: 'squeeze', perceptual_weights: lpipsFiles }),
        },
        training: { ...training, batch: 2 },
      } as AutoencoderRecipe,
      path: join(folder, `${name}.safetensors`),
      signal: abort.signal,
    })
    let seen = 0
    for await (const event of events) {
      if (event.type !== 'step') continue
      seen++
      assert.ok(event.loss > 0, name)
      assert.equal('disc_loss' in event.terms, judged && event.step === 2)
      if (event.step === 2) abort.abort()
    }
    assert.equal(seen, 2)
  })
}
