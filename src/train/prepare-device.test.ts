import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { inlineCheckpoints } from '../autodiff/checkpoint.js'
import { gradients } from '../autodiff/gradients.js'
import { candidates, usesWithChoice } from '../compiler/tuning.js'
import { openDevice, writeTuning } from '../runtime/index.js'
import { topological } from '../tensor/walk.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import type { TrainEvent } from './events.js'
import { autoencoderProgram } from './first-stage/programs.js'
import { autoencoderRecipe } from './first-stage/recipe.js'
import { trainAutoencoder } from './first-stage/train-autoencoder.js'
import { checkpointAt } from './learner.js'

const pictures = fileURLToPath(new URL('../../fixtures/data/emoji', import.meta.url))
const recipe = (steps: number) =>
  autoencoderRecipe.parse({
    data: { folder: pictures, size: 16 },
    loss: { perceptual_weight: 0 },
    first_stage_config: {
      embed_dim: 4,
      ddconfig: {
        z_channels: 4,
        resolution: 16,
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
    training: { steps, batch: 2, learning_rate: 1e-3, evaluate_every: 9, sample_every: 9, checkpoint_every: 9 },
  })

/** What every operation of a step could be lowered to: the first of them, or the last. */
function choices(pick: 0 | -1): Record<string, string> {
  const target = { device: 'cpu', contrib: true, training: true } as const
  const whole = gradients(autoencoderProgram(recipe(2), 2, 16, 'train'))
  const uses = usesWithChoice(topological(inlineCheckpoints(Object.values(whole.outputs))), target)
  return Object.fromEntries([...uses].map(([use, node]) => [use, candidates(node, target).at(pick)!]))
}

test('a run that goes on keeps the lowerings that it began with, whatever was tuned since, to the bit', async t => {
  const folder = await temporaryFolder(t)
  const { XDG_CACHE_HOME } = process.env
  process.env.XDG_CACHE_HOME = folder
  const path = (name: string) => join(folder, `${name}.safetensors`)
  const run = async (name: string, steps: number, goOn = false) => {
    await using device = await openDevice('cpu', { threads: 1 })
    const resume = goOn ? await checkpointAt(path(name)) : undefined
    const events: TrainEvent[] = []
    for await (const event of trainAutoencoder({ device, recipe: recipe(steps), path: path(name), resume }))
      events.push(event)
    await resume?.close()
    return events
  }
  const same = async (a: string, b: string) => (await readFile(path(a))).equals(await readFile(path(b)))
  try {
    await writeTuning('cpu', choices(0))
    await run('whole', 2)
    assert.ok(!(await run('parts', 1)).some(({ type }) => type === 'warning'))

    await writeTuning('cpu', choices(-1))
    await run('other', 1)
    assert.ok(!(await same('other', 'parts')), 'the choices matter')
    const [warning] = (await run('parts', 2, true)).filter(event => event.type === 'warning')
    assert.match(warning!.message, /differs from what the run began with/)
    assert.ok(await same('parts', 'whole'))
  } finally {
    if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME
    else process.env.XDG_CACHE_HOME = XDG_CACHE_HOME
  }
})
