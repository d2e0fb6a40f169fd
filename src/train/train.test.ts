import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { channelValues, modelConfig } from '../pipelines/model-config.js'
import { FileError } from '../platform/errors.js'
import { testDevice } from '../testing/device.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { all, losses } from '../testing/train-events.js'
import { diffusionRecipe } from './diffusion/recipe.js'
import { trainDiffusion } from './diffusion/train-diffusion.js'
import type { TrainEvent } from './events.js'
import { autoencoderRecipe } from './first-stage/recipe.js'
import { trainAutoencoder } from './first-stage/train-autoencoder.js'
import { checkpointAt } from './learner.js'

const pictures = fileURLToPath(new URL('../../fixtures/data/emoji', import.meta.url))
const training = { batch: 2, learning_rate: 1e-3, clip: 1, ema: { decay: 0.9 }, checkpoint_every: 2 }
const often = { evaluate_every: 3, sample_every: 3 }
const firstStage = (steps: number) =>
  autoencoderRecipe.parse({
    data: { folder: pictures, size: 32 },
    crop: 24,
    first_stage_config: {
      embed_dim: 4,
      ddconfig: {
        z_channels: 4,
        resolution: 32,
        in_channels: 3,
        out_ch: 3,
        ch: 16,
        num_groups: 4,
        ch_mult: [1, 1],
        num_res_blocks: 1,
        attn_resolutions: [],
        attn_type: 'none',
      },
    },
    training: { ...training, ...often, steps },
  })
const diffusion = (steps: number, more: object = {}) =>
  diffusionRecipe.parse({
    data: { folder: pictures, size: 32, flip: true },
    first_stage: 'given',
    unet_config: {
      in_channels: 4,
      out_channels: 4,
      model_channels: 32,
      channel_mult: [1, 1],
      num_res_blocks: 1,
      attention_resolutions: [2],
      num_head_channels: 32,
      use_spatial_transformer: true,
      context_dim: 32,
      pooled_context: true,
    },
    conditioning: { text: { n_embed: 32, n_layer: 1, max_seq_len: 12, heads: 2, dim_head: 16, vocabulary: 300 } },
    diffusion: { parameterization: 'v', beta_schedule: 'cosine', timesteps: 100 },
    loss: { min_snr_gamma: 5 },
    samples: { prompts: ['red heart', 'pizza'], steps: 2 },
    training: { ...training, ...often, accumulate: 2, steps },
    ...more,
  })

const folder = await temporaryFolder()
const device = await testDevice()

test('a first stage trains, tells how it is doing, and goes on exactly where it stopped', async () => {
  const path = join(folder, 'whole.safetensors')
  const whole = await all(trainAutoencoder({ device, recipe: firstStage(6), path }))
  const types = whole.map(({ type }) => type)
  assert.deepEqual(
    ['step', 'evaluation', 'samples', 'checkpoint'].map(type => types.filter(t => t === type).length),
    [6, 2, 2, 3],
  )
  const [evaluation] = whole.filter(event => event.type === 'evaluation')
  assert.deepEqual(Object.keys(evaluation!.metrics).sort(), ['kl', 'l1', 'loss', 'perceptual', 'psnr'])
  const [samples] = whole.filter(event => event.type === 'samples')
  assert.ok(samples!.image.width > 2 * 32)

  const parts = join(folder, 'parts.safetensors')
  const abort = new AbortController()
  const first: TrainEvent[] = []
  for await (const event of trainAutoencoder({ device, recipe: firstStage(6), path: parts, signal: abort.signal })) {
    first.push(event)
    if (event.type === 'step' && event.step === 3) abort.abort()
  }
  const resume = await checkpointAt(parts)
  const second = await all(trainAutoencoder({ device, recipe: firstStage(6), path: parts, resume }))
  await resume.close()
  assert.deepEqual([...losses(first), ...losses(second)], losses(whole))
  assert.ok((await readFile(parts)).equals(await readFile(path)), 'both ways end in the same bytes')
})

test('a diffusion model trains on cached latents, exactly resumed, and its checkpoint holds all that generating needs', async () => {
  const stage = await checkpointAt(join(folder, 'whole.safetensors'))
  const latentFolder = join(folder, 'latents')
  const train = (path: string, steps: number, more: object = {}) =>
    trainDiffusion({ device, recipe: diffusion(steps), path, firstStage: stage, latentFolder, ...more })
  const path = join(folder, 'diffusion.safetensors')
  const whole = await all(train(path, 5))
  assert.ok(whole.some(({ type }) => type === 'prepare'))
  const [evaluation] = whole.filter(event => event.type === 'evaluation')
  assert.deepEqual(Object.keys(evaluation!.metrics), ['loss', 'loss_without_condition'])

  const parts = join(folder, 'diffusion-parts.safetensors')
  const first = await all(train(parts, 3))
  assert.ok(!first.some(({ type }) => type === 'prepare'), 'the latents came from the cache')
  const resume = await checkpointAt(parts)
  const second = await all(train(parts, 5, { resume }))
  await resume.close()
  assert.deepEqual([...losses(first), ...losses(second)], losses(whole))

  const checkpoint = await checkpointAt(path)
  const prefixes = new Set([...checkpoint.weights.keys()].map(name => name.split('.')[0]))
  assert.deepEqual(prefixes, new Set(['first_stage_model', 'model', 'cond_stage_model']))
  const config = modelConfig.parse(checkpoint.info.config)
  assert.equal(channelValues(config.scale_factor, 4).length, 4)
  assert.notEqual(config.scale_factor, 1)
  assert.equal(config.unet_config!.image_size, 16)
  assert.match(checkpoint.info.vocabulary!, /^\{"kind":"bpe"/)
  assert.equal(checkpoint.info.data!.length, 64)

  const started = await all(train(join(folder, 'started.safetensors'), 1, { start: checkpoint }))
  assert.notEqual(losses(started)[0], losses(whole)[0])
  await checkpoint.close()

  assert.equal((await readdir(latentFolder)).length, 1)
  await all(
    train(join(folder, 'other.safetensors'), 1, { recipe: diffusion(1, { data: { folder: pictures, size: 32 } }) }),
  )
  assert.equal((await readdir(latentFolder)).length, 2, 'another transform has latents of its own')
  await stage.close()
})

test('a checkpoint of another architecture is refused with what differs', async () => {
  const resume = await checkpointAt(join(folder, 'whole.safetensors'))
  const other = firstStage(6)
  const ddconfig = { ...other.first_stage_config.ddconfig, ch: 32 }
  const recipe = { ...other, first_stage_config: { ...other.first_stage_config, ddconfig } }
  const run = () => all(trainAutoencoder({ device, recipe, path: join(folder, 'x.safetensors'), resume }))
  await assert.rejects(
    run,
    (error: Error) => error instanceof FileError && /has shape \[16,3,3,3\], wanted \[32,3,3,3\]/.test(error.message),
  )
  await resume.close()
})

test('a checkpoint that cannot be written ends the run with a word, and what was there stays', async () => {
  const blocked = join(folder, 'file')
  await writeFile(blocked, 'not a folder')
  const run = () => all(trainAutoencoder({ device, recipe: firstStage(2), path: join(blocked, 'model.safetensors') }))
  await assert.rejects(run, /cannot be written/)
  assert.equal(await readFile(blocked, 'utf8'), 'not a folder')
})
