import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { encodePng } from '../../image/index.js'
import { openClassifier } from '../../pipelines/loading/classifier-model.js'
import { modelConfig } from '../../pipelines/model-config.js'
import { LatentkitError } from '../../platform/errors.js'
import { writeFileAtomic } from '../../platform/node/index.js'
import { version } from '../../platform/version.js'
import { openDevice } from '../../runtime/index.js'
import { parseConfig } from '../../schema/index.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { uniforms } from '../../testing/values.js'
import { writeCheckpoint } from '../../weights/checkpoint.js'
import type { TrainEvent } from '../events.js'
import { checkpointAt } from '../learner.js'
import { classifierRecipe } from './recipe.js'
import { trainClassifier } from './train-classifier.js'

const folder = await temporaryFolder()
before(async () => {
  const uniform = uniforms(1)
  for (const [name, level] of [
    ['dark', 30],
    ['light', 220],
  ] as const) {
    for (let i = 0; i < 8; i++) {
      const data = Uint8Array.from({ length: 8 * 8 * 3 }, () => level + 30 * uniform())
      await writeFileAtomic(
        join(folder, 'data', name, `${i}.png`),
        await encodePng({ data, width: 8, height: 8, channels: 3 }),
      )
    }
  }
})

const unet = {
  model_channels: 32,
  channel_mult: [1],
  num_res_blocks: 1,
  attention_resolutions: [],
  num_head_channels: 32,
}
const recipeOf = (classes: number, steps: number) =>
  classifierRecipe.parse({
    data: { folder: join(folder, 'data'), size: 8 },
    model: join(folder, 'model.safetensors'),
    classifier_config: { encoder: { ...unet, image_size: 8, in_channels: 3, out_channels: classes } },
    training: { steps, batch: 8, learning_rate: 0.003, evaluate_every: steps, sample_every: steps },
  })

test('a classifier learns classes in the pixels of a model and fits that model alone', async () => {
  await using device = await openDevice('cpu', { threads: 1 })
  const config = modelConfig.parse({
    first_stage_config: { f: 1 },
    unet_config: { ...unet, image_size: 8, in_channels: 3, out_channels: 3 },
    diffusion: { parameterization: 'flow' },
  })
  const place = join(folder, 'model.safetensors')
  await writeCheckpoint(place, { info: { library: version, config }, weights: new Map() })
  const model = await checkpointAt(place)
  const path = join(folder, 'classifier.safetensors')
  const events: TrainEvent[] = []
  const options = { device, path, model, latentFolder: folder }
  for await (const event of trainClassifier({ ...options, recipe: recipeOf(2, 12) })) events.push(event)
  const evaluation = events.find(event => event.type === 'evaluation')
  assert.ok(evaluation!.metrics.accuracy! > 0.6, JSON.stringify(evaluation!.metrics))
  assert.ok(events.some(event => event.type === 'samples'))

  const { config: learned, checkpoint } = await openClassifier(path, config)
  await checkpoint.close()
  assert.deepEqual(learned.names, ['dark', 'light'])
  const other = modelConfig.parse({ ...config, diffusion: { parameterization: 'v' } })
  await assert.rejects(openClassifier(path, other), /its diffusion differs/)
  await assert.rejects(openClassifier(place, config), /holds no classifier/)
  const wrong = trainClassifier({ ...options, recipe: recipeOf(3, 12) })
  await assert.rejects(async () => {
    for await (const _ of wrong);
  }, LatentkitError)
  await model.close()
})

test('the configurations of classifiers are sound', async () => {
  for (const name of ['cin256-classifier', 'tiny/cin256-classifier']) {
    const file = new URL(`../../../configs/${name}.yaml`, import.meta.url)
    assert.equal(parseConfig(await readFile(file, 'utf8'), classifierRecipe, name).classifier_config.pool, 'attention')
  }
})
