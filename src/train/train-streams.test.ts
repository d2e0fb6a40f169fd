import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { testDevice } from '../testing/device.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { all, losses } from '../testing/train-events.js'
import { dataSettings } from './data-settings.js'
import { diffusionRecipe } from './diffusion/recipe.js'
import { trainDiffusion } from './diffusion/train-diffusion.js'
import type { TrainEvent } from './events.js'
import { autoencoderRecipe } from './first-stage/recipe.js'
import { trainAutoencoder } from './first-stage/train-autoencoder.js'
import { checkpointAt } from './learner.js'
import { logged } from './log/log.js'

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/data/${name}`, import.meta.url))
const rarely = { evaluate_every: 99, sample_every: 99, checkpoint_every: 99 }
const training = { batch: 2, learning_rate: 1e-3, ...rarely }

const folder = await temporaryFolder()
const device = await testDevice()
let damaged: string
before(async () => {
  // A picture of the shard becomes noise, and its end is cut off.
  const bytes = await readFile(join(fixture('shards'), 'dots-000.tar'))
  damaged = join(folder, 'damaged.tar')
  const png = bytes.lastIndexOf('\x89PNG', bytes.length, 'latin1')
  await writeFile(damaged, bytes.fill(7, png + 30, png + 60).subarray(0, png + 600))
})

async function untilStep(step: number, run: (signal: AbortSignal) => AsyncIterable<TrainEvent>): Promise<TrainEvent[]> {
  const abort = new AbortController()
  const events: TrainEvent[] = []
  for await (const event of run(abort.signal)) {
    events.push(event)
    if (event.type === 'step' && event.step === step) abort.abort()
  }
  return events
}

test('a first stage trains on shards, leaves damage out, counts it, and goes on within an epoch as if never stopped', async () => {
  const recipe = autoencoderRecipe.parse({
    data: { shards: [damaged, join(fixture('shards'), 'dots-001.tar.gz')], size: 8, shuffle: 3, held_out: 0 },
    first_stage_config: {
      embed_dim: 2,
      ddconfig: {
        ...{ z_channels: 2, resolution: 8, in_channels: 3, out_ch: 3, ch: 8, num_groups: 4, ch_mult: [1, 1] },
        ...{ num_res_blocks: 1, attn_resolutions: [], attn_type: 'none' },
      },
    },
    loss: { perceptual_weight: 0 },
    training: { ...training, steps: 6 },
  })
  const run = (path: string, more: object = {}) =>
    trainAutoencoder({ device, recipe, path: join(folder, path), ...more })
  const whole = await all(logged(run('whole.safetensors'), { folder: join(folder, 'log'), clock: () => 1 }))
  const end = whole.at(-1)!
  assert.ok(end.type === 'end' && end.skipped.count >= 2, 'the damaged picture and the cut')
  assert.match(end.skipped.examples.join('\n'), /damaged\.tar is cut short/)
  const lines = (await readFile(join(folder, 'log', 'metrics.jsonl'), 'utf8')).trim().split('\n')
  const last = JSON.parse(lines.filter(line => line.includes('"type":"step"')).at(-1)!)
  assert.ok(last.data_wait >= 0 && last.data_wait <= 1)
  assert.equal(last.skipped, end.skipped.count)
  const first = await untilStep(2, signal => run('parts.safetensors', { signal }))
  const resume = await checkpointAt(join(folder, 'parts.safetensors'))
  const rest = await all(run('parts.safetensors', { resume }))
  await resume.close()
  assert.deepEqual([...losses(first), ...losses(rest)], losses(whole))
  const [one, other] = await Promise.all(['whole', 'parts'].map(name => readFile(join(folder, `${name}.safetensors`))))
  assert.ok(one!.equals(other!), 'both ways end in the same bytes')
})

test('a first stage and its discriminator train on shapes of several ratios', async () => {
  const recipe = autoencoderRecipe.parse({
    data: { shards: join(fixture('shards'), 'dots-{000,002}.tar'), size: 8, held_out: 0, buckets: { step: 2 } },
    first_stage_config: {
      embed_dim: 2,
      ddconfig: {
        ...{ z_channels: 2, resolution: 8, in_channels: 3, out_ch: 3, ch: 8, num_groups: 4, ch_mult: [1, 1] },
        ...{ num_res_blocks: 1, attn_resolutions: [], attn_type: 'none' },
      },
    },
    loss: { perceptual_weight: 0, disc_start: 0, disc_ndf: 4, disc_num_layers: 1 },
    training: { ...training, steps: 2, accumulate: 2 },
  })
  const run = await all(trainAutoencoder({ device, recipe, path: join(folder, 'shapes.safetensors') }))
  const steps = run.flatMap(event => (event.type === 'step' ? [event] : []))
  assert.equal(steps.length, 2)
  for (const { loss, terms } of steps) assert.ok(Number.isFinite(loss) && Number.isFinite(terms.disc_loss))
})

for (const [what, data, left] of [
  ['Parquet files', { parquet: fixture('parquet'), size: 8 }, 1],
  [
    'shards in buckets',
    { shards: join(fixture('shards'), 'dots-{000,002}.tar'), size: 8, held_out: 0, buckets: { step: 2 } },
    0,
  ],
] as const) {
  test(`a diffusion model trains on ${what} with text, exactly resumed`, async () => {
    const recipe = diffusionRecipe.parse({
      data,
      unet_config: {
        ...{ in_channels: 3, out_channels: 3, model_channels: 32, channel_mult: [1], num_res_blocks: 1 },
        ...{ attention_resolutions: [1], num_head_channels: 32, use_spatial_transformer: true, context_dim: 16 },
      },
      conditioning: { text: { n_embed: 16, n_layer: 1, max_seq_len: 8, heads: 2, dim_head: 8, vocabulary: 300 } },
      diffusion: { timesteps: 50 },
      samples: { prompts: ['picture 1'], steps: 1 },
      training: { ...training, steps: 5 },
    })
    const latentFolder = join(folder, 'latents')
    const run = (path: string, more: object = {}) =>
      trainDiffusion({ device, recipe, path: join(folder, path), latentFolder, ...more })
    const whole = await all(run(`${left}.safetensors`))
    const end = whole.at(-1)!
    assert.ok(end.type === 'end' && end.skipped.count === left)
    if (left > 0) assert.match(end.skipped.examples[0]!, /\/5 holds no picture/)
    const first = await untilStep(2, signal => run(`${left}-parts.safetensors`, { signal }))
    const resume = await checkpointAt(join(folder, `${left}-parts.safetensors`))
    const rest = await all(run(`${left}-parts.safetensors`, { resume }))
    await resume.close()
    assert.deepEqual([...losses(first), ...losses(rest)], losses(whole))
  })
}

test('buckets must survive what networks shrink them by', async () => {
  const unet = { in_channels: 3, out_channels: 3, model_channels: 32, channel_mult: [1, 1, 1], num_head_channels: 32 }
  const data = { folder: fixture('emoji'), size: 8, buckets: { step: 2 } }
  const settings = { data, unet_config: { ...unet, num_res_blocks: 1, attention_resolutions: [] }, diffusion: {} }
  const recipe = diffusionRecipe.parse({ ...settings, training: { ...training, steps: 1 } })
  const run = trainDiffusion({
    device,
    recipe,
    path: join(folder, 'never.safetensors'),
    latentFolder: join(folder, 'b'),
  })
  await assert.rejects(all(run), /data\.buckets\.step is 2; wanted a multiple of 4/)
  const less = { num_res_blocks: 1, attn_resolutions: [], attn_type: 'none', ch_mult: [1, 1], num_groups: 4 }
  const stage = { embed_dim: 3, ddconfig: { resolution: 8, ch: 8, out_ch: 3, z_channels: 3, in_channels: 3, ...less } }
  const odd = { ...data, buckets: { step: 1 } }
  const first = { data: odd, crop: 6, first_stage_config: stage, training: { ...training, steps: 1 } }
  assert.match(String(autoencoderRecipe.safeParse(first).error), /the first stage shrinks by 2: use a multiple of it/)
  const cropped = autoencoderRecipe.safeParse({ ...first, data: { ...data, buckets: { step: 4 } } })
  assert.match(String(cropped.error), /wanted a multiple of 4 that is at most data\.size, 8/)
})

test('a recipe names one place of data, and columns only where there are some', () => {
  const refused = (data: object, message: RegExp) =>
    assert.throws(() => dataSettings.parse({ size: 8, ...data }), message)
  refused({}, /wanted one of folder, shards and parquet, found none/)
  refused({ folder: 'a', shards: 'b' }, /found folder and shards/)
  refused({ folder: 'a', buckets: { step: 64 } }, /wanted a step that 8, the size, is a multiple of/)
  refused({ folder: 'a', columns: { image: 'x' } }, /are for parquet/)
  assert.deepEqual(dataSettings.parse({ size: 8, shards: ['a-{0..3}.tar'] }).shards, ['a-{0..3}.tar'])
})
