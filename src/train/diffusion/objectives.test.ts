import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { load } from '../../pipelines/loading/load.js'
import { testDevice } from '../../testing/device.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { checkpointAt } from '../learner.js'
import { diffusionRecipe } from './recipe.js'
import { trainDiffusion } from './train-diffusion.js'

const scenes = fileURLToPath(new URL('../../../fixtures/data/scenes', import.meta.url))
const folder = await temporaryFolder()
const device = await testDevice()

/** A model of pixels, without a first stage. */
const recipe = (more: Record<string, unknown>) =>
  diffusionRecipe.parse({
    data: { folder: scenes, size: 16 },
    scale_factor: 1,
    unet_config: {
      in_channels: 3,
      out_channels: 3,
      model_channels: 32,
      channel_mult: [1, 1],
      num_res_blocks: 1,
      attention_resolutions: [],
      num_heads: 1,
    },
    samples: { count: 2, steps: 2 },
    training: { batch: 2, steps: 2, learning_rate: 1e-3, evaluate_every: 2, sample_every: 2, checkpoint_every: 2 },
    ...more,
  })

async function train(name: string, more: Record<string, unknown>) {
  const path = join(folder, `${name}.safetensors`)
  const losses: Record<string, number>[] = []
  const run = trainDiffusion({ device, recipe: recipe(more), path, latentFolder: join(folder, 'latents') })
  for await (const event of run) if (event.type === 'step') losses.push({ loss: event.loss, ...event.terms })
  return { path, losses }
}

const variants: Record<string, Record<string, unknown>> = {
  'epsilon with learned variances': { loss: { learn_logvar: true, logvar_init: 0.5 } },
  'x0, L1 and the variational bound': {
    diffusion: { parameterization: 'x0' },
    loss: { type: 'l1', elbo_weight: 0.1, simple_weight: 0.5 },
  },
  'v to a signal of zero, offset noise': {
    diffusion: { parameterization: 'v', beta_schedule: 'sqrt_linear', zero_terminal_snr: true },
    loss: { offset_noise: 0.1, min_snr_gamma: 5 },
  },
  'a rectified flow, scaled by deviation': { diffusion: { parameterization: 'flow' }, scale_factor: 'by_std' },
}
for (const [name, more] of Object.entries(variants)) {
  test(`pixels: ${name}`, async () => {
    const { path, losses } = await train(name, more)
    assert.ok(losses.every(({ loss }) => Number.isFinite(loss)))
    // The last layer starts with zeros: the first loss is that of an answer of zeros.
    const [{ loss, simple, vlb }] = losses as [Record<string, number>]
    if (name.startsWith('epsilon')) assert.ok(Math.abs(loss! - (simple! / Math.exp(0.5) + 0.5)) < 1e-5)
    else if (name.startsWith('x0')) assert.ok(Math.abs(loss! - (0.5 * simple! + 0.1 * vlb!)) < 1e-5)
    else assert.deepEqual(Object.keys(losses[0]!), ['loss'])
    await using model = await load(path, { threads: 1 })
    const image = await model.generate('', { steps: 3, seed: 1 }).image()
    assert.ok(new Set(image.data).size > 8)
  })
}

test('the learned variances are in the checkpoint, one for each time', async () => {
  const checkpoint = await checkpointAt(join(folder, 'epsilon with learned variances.safetensors'))
  assert.deepEqual(checkpoint.weights.get('logvar')!.shape, [1000])
  await checkpoint.close()
})

test('objectives that make no sense are refused', () => {
  const refused = (more: Record<string, unknown>, message: RegExp) => assert.throws(() => recipe(more), message)
  refused({ diffusion: { parameterization: 'flow' }, loss: { min_snr_gamma: 5 } }, /a flow has none/)
  refused({ diffusion: { parameterization: 'flow' }, loss: { elbo_weight: 1 } }, /not for a flow/)
  refused({ diffusion: { zero_terminal_snr: true } }, /needs a network that predicts v or x0/)
  refused({ samples: { prompts: ['a cat'] } }, /takes no text/)
})
