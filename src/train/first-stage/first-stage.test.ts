import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { testDevice } from '../../testing/device.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import type { TrainEvent } from '../events.js'
import { DivergedError } from '../fit.js'
import { checkpointAt } from '../learner.js'
import { meansOf, runningCodes } from './codebook.js'
import { type AutoencoderRecipe, autoencoderRecipe } from './recipe.js'
import { trainAutoencoder } from './train-autoencoder.js'

const pictures = fileURLToPath(new URL('../../../fixtures/data/emoji', import.meta.url))
const ddconfig = {
  z_channels: 2,
  resolution: 8,
  in_channels: 3,
  out_ch: 3,
  ch: 4,
  num_groups: 2,
  ch_mult: [1],
  num_res_blocks: 1,
  attn_resolutions: [],
  attn_type: 'none',
}
const stages = {
  kl: { embed_dim: 2, ddconfig },
  vq: { embed_dim: 2, n_embed: 24, ddconfig: { ...ddconfig, double_z: false } },
}
const adversarial = { disc_start: 2, disc_weight: 0.5, disc_ndf: 4, disc_num_layers: 1, perceptual_weight: 0 }
const recipe = (stage: keyof typeof stages, loss: object, more: { training?: object; codebook?: object } = {}) =>
  autoencoderRecipe.parse({
    data: { folder: pictures, size: 8 },
    first_stage_config: stages[stage],
    loss,
    ...more,
    training: { steps: 4, batch: 2, learning_rate: 1e-3, evaluate_every: 4, sample_every: 4, ...more.training },
  })

const folder = await temporaryFolder()
const device = await testDevice()

/** Trains, without a pause or with one after a step; the events, and the checkpoint's bytes. */
async function train(recipe: AutoencoderRecipe, pauseAfter?: number): Promise<{ events: TrainEvent[]; bytes: Buffer }> {
  const path = join(folder, `${pauseAfter ?? 'whole'}.safetensors`)
  const events: TrainEvent[] = []
  const abort = new AbortController()
  for await (const event of trainAutoencoder({ device, recipe, path, signal: abort.signal })) {
    events.push(event)
    if (event.type === 'step' && event.step === pauseAfter) abort.abort()
  }
  if (pauseAfter !== undefined) {
    const resume = await checkpointAt(path)
    for await (const event of trainAutoencoder({ device, recipe, path, resume })) events.push(event)
    await resume.close()
  }
  return { events, bytes: await readFile(path) }
}
/** All that a step tells but how long it waited. */
const steps = (events: readonly TrainEvent[]) =>
  events.flatMap(event => (event.type === 'step' ? [{ ...event, dataWait: 0 }] : []))

const kinds = {
  'a codebook of running means, dead codes revived, against a discriminator': recipe(
    'vq',
    { ...adversarial, disc_loss: 'vanilla' },
    { codebook: { ema: {}, revive_after: 2 }, training: { accumulate: 2, clip: 1, ema: { decay: 0.9 } } },
  ),
  'KL as the original sums it, with a learned log variance, against ActNorm': recipe('kl', {
    ...adversarial,
    reduction: 'sum',
    kl_weight: 1e-6,
    learn_logvar: true,
    use_actnorm: true,
    pixel_loss: 'l2',
  }),
}

for (const [what, made] of Object.entries(kinds)) {
  test(`${what}: interrupted is uninterrupted to the bit`, async () => {
    const whole = await train(made)
    const parts = await train(made, 3)
    assert.deepEqual(steps(parts.events), steps(whole.events))
    assert.ok(parts.bytes.equals(whole.bytes))
    const names = steps(whole.events).map(({ terms }) => Object.keys(terms))
    for (const terms of names) assert.ok(terms.includes('d_weight') && terms.includes('g_loss'))
    if (names[0]!.includes('codebook')) {
      const [evaluation] = whole.events.filter(event => event.type === 'evaluation')
      const told = ['code_usage', 'codebook', 'l1', 'loss', 'perplexity', 'psnr']
      assert.deepEqual(Object.keys(evaluation!.metrics).sort(), told)
      const [first, ...later] = steps(whole.events).map(({ terms }) => terms.code_usage!)
      assert.ok(later.at(-1)! > first!, 'codes that nothing chose were put where latents are')
    }
    // The discriminator trains from disc_start on.
    assert.deepEqual(
      names.map(terms => terms.includes('disc_loss')),
      [false, false, true, true],
    )
  })
}

test('a loss that is no number stops the run and says which term, the last checkpoint stays', async () => {
  const exploding = recipe(
    'kl',
    { ...adversarial, disc_start: 9 },
    { training: { learning_rate: 1e30, checkpoint_every: 1 } },
  )
  const run = () => train(exploding)
  await assert.rejects(run, (error: Error) => {
    assert.ok(error instanceof DivergedError)
    assert.match(error.message, /Training stopped in step 2: .*(l1|kl|g_loss|disc_loss) = (NaN|-?Infinity)/)
    assert.match(error.message, /The last good checkpoint is .*whole\.safetensors/)
    return true
  })
  const checkpoint = await checkpointAt(join(folder, 'whole.safetensors'))
  assert.equal(checkpoint.training!.values.step, 1)
  await checkpoint.close()
})

test('codes are means of the latents that chose them', () => {
  const start = { size: Float32Array.of(1, 1), sum: Float32Array.of(2, 4, 1, 1) }
  const { size, sum } = runningCodes(start, Float32Array.of(3, 0), Float32Array.of(9, 3, 0, 0), 0.5)
  assert.deepEqual([...size, ...sum], [2, 0.5, 5.5, 3.5, 0.5, 0.5])
  assert.deepEqual([...meansOf({ size, sum }, 0)], [2.75, 1.75, 1, 1])
  const [unused] = meansOf({ size: Float32Array.of(0, 2), sum: Float32Array.of(1, 2) }, 1)
  assert.equal(unused, 1 / (((0 + 1) / (2 + 2)) * 2))
})
