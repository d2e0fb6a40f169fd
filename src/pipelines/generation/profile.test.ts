import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { tinyCheckpoint } from '../../testing/tiny-model.js'
import { load } from '../loading/load.js'
import type { Model } from '../model.js'
import type { GenerateSettings } from '../settings/index.js'
import { settingsOf } from '../settings/parameters.js'
import type { GeneratedImage } from './generated-image.js'

let model: Model
before(async () => {
  model = await load(tinyCheckpoint(), { threads: 1 })
})
after(() => model.dispose())

async function all(settings: GenerateSettings): Promise<GeneratedImage[]> {
  const made: GeneratedImage[] = []
  for await (const event of model.generate('red heart', settings)) {
    if (event.type === 'step') assert.ok(event.step <= event.total)
    if (event.type === 'image') made.push(event.image)
  }
  return made
}

test('a profile brings its defaults, is told by the picture, and makes it again', async () => {
  const [picture] = await all({ profile: 'a1111', seed: 3, steps: 4, seedDelta: 31337, sampler: 'euler_ancestral' })
  const { parameters } = picture!
  assert.deepEqual(
    [parameters.scheduleType, parameters.cfgScale, parameters.extra?.Profile, parameters.extra?.ENSD],
    ['Normal', 7, 'a1111', '31337'],
  )
  const settings = settingsOf(parameters)
  assert.deepEqual((await all(settings))[0]!.data, picture!.data)
  assert.notDeepEqual((await all({ ...settings, seedDelta: undefined }))[0]!.data, picture!.data)
  assert.notDeepEqual((await all({ ...settings, noiseSource: 'cpu' }))[0]!.data, picture!.data)
})

test('a picture of several that a tool makes at once of one seed comes out as it would with the others', async () => {
  const settings = { profile: 'comfyui', sampler: 'dpmpp_2m_sde', seed: 3, steps: 3, batchSize: 3 } as const
  const made = await all({ ...settings, count: 3, batch: 2 })
  assert.deepEqual(
    made.map(({ parameters }) => [parameters.seed, parameters.extra?.['Batch pos']]),
    [
      [3, '0'],
      [3, '1'],
      [3, '2'],
    ],
  )
  assert.notDeepEqual(made[0]!.data, made[1]!.data)
  const [alone] = await all(settingsOf(made[1]!.parameters))
  const far = Math.max(...Array.from(alone!.data, (value, i) => Math.abs(value - made[1]!.data[i]!)))
  assert.ok(far <= 1, `${far} levels away`)
})

test('a sampler that chooses its own steps is the same alone and among others', async () => {
  const together = await all({ sampler: 'dpm_adaptive', seed: 3, count: 2, steps: 4 })
  assert.deepEqual((await all({ sampler: 'dpm_adaptive', seed: 4, steps: 4 }))[0]!.data, together[1]!.data)
})

test('what a tool lacks is refused by name', async () => {
  await assert.rejects(all({ profile: 'compvis', sampler: 'heun' }), /has no sampler "heun".*ddim, plms/)
  await assert.rejects(all({ profile: 'compvis', schedule: 'karras' }), /has no schedule "karras"/)
  await assert.rejects(all({ seedDelta: 5 }), /a1111 alone/)
  await assert.rejects(all({ batchSize: 2, batchPlace: 1, count: 2 }), /no 2 pictures from place 1/)
})
