import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { tinyCheckpoint, tinyConfig } from '../../testing/tiny-model.js'
import { load } from '../loading/load.js'
import type { Model } from '../model.js'
import { settingsOf } from '../settings/parameters.js'
import type { GenerateOptions } from './events.js'

let model: Model
let twin: Model
let other: Model
before(async () => {
  model = await load(tinyCheckpoint(), { threads: 1 })
  twin = await load(tinyCheckpoint(), { threads: 1 })
  const { unet_config, ...config } = tinyConfig()
  other = await load(tinyCheckpoint({ ...config, unet_config: { ...unet_config!, num_res_blocks: 2 } }), { threads: 1 })
})
after(async () => {
  for (const each of [model, twin, other]) await each.dispose()
})

const way = { seed: 3, steps: 8, sampler: 'dpmpp_2m' } as const
async function painted(options: GenerateOptions) {
  const steps: number[] = []
  const prompt = '[red:blue:0.7] heart'
  for await (const event of model.generate(prompt, { ...way, promptStyle: 'a1111', ...options } as GenerateOptions)) {
    if (event.type === 'step') steps.push(event.step)
    if (event.type === 'image') return { steps, latents: event.latents.data, settings: event.settings }
  }
  throw new Error('no picture')
}

test('a model that is its own refiner paints what it does alone, whatever is said over the steps', async () => {
  const alone = await painted({})
  const refined = await painted({ refiner: twin, refineFrom: 0.4 })
  assert.deepEqual(refined.latents, alone.latents)
  assert.deepEqual(refined.steps, [1, 2, 3, 4, 5, 6, 7, 8])
  const { extra } = refined.settings
  assert.deepEqual([extra?.Refiner, extra?.['Refiner switch at']], [twin.name, '0.4'])
  assert.equal(settingsOf(refined.settings).refineFrom, 0.4)
})

test('the refiner goes the end of the way alone', async () => {
  const { latents } = await painted({ promptStyle: 'plain' })
  const far = async (refineFrom: number) => {
    const refined = (await painted({ promptStyle: 'plain', refiner: other, refineFrom })).latents
    return Math.sqrt(refined.reduce((sum, value, i) => sum + (value - latents[i]!) ** 2, 0))
  }
  const [never, late, early] = [await far(0.999), await far(0.8), await far(0.3)]
  assert.equal(never, 0)
  assert.ok(late > 0 && early > late, `${late}, ${early}`)
})

test('by the profile of diffusers it begins anew: first-order steps go on as they were, others have no past', async () => {
  const by = (sampler: 'ddim' | 'dpmpp_2m', more: GenerateOptions = {}) =>
    painted({ profile: 'diffusers', promptStyle: 'plain', sampler, ...more }).then(({ latents }) => latents)
  const handed = { refiner: twin, refineFrom: 0.5 }
  assert.deepEqual(await by('ddim', handed), await by('ddim'))
  assert.notDeepEqual(await by('dpmpp_2m', handed), await by('dpmpp_2m'))
  await assert.rejects(by('ddim', { ...handed, refineFrom: 0.999 }), /of 8 steps none begins after 0.999 of the way/)
})

test('refiners that do not fit are refused', async () => {
  const refused = (options: object, why: RegExp) => assert.rejects(painted(options as GenerateOptions), why)
  await refused(
    { refiner: 'refiner.safetensors' },
    /refiner: found "refiner.safetensors": wanted a model, as load gives it/,
  )
  await refused({ refiner: { name: 'x', generate: 1 } }, /refiner is no model of this copy/)
  await refused({ refiner: twin, refineFrom: 1 }, /refineFrom/)
  await refused(
    { refiner: twin, profile: 'compvis', promptStyle: 'plain', sampler: 'ddim' },
    /nothing that Stable Diffusion's own scripts has; .* profile of diffusers, AUTOMATIC1111/,
  )
})

test('a picture made larger in a second go is refined too', async () => {
  const twice = { promptStyle: 'plain', steps: 4, hires: 2, hiresStrength: 0.5 } as const
  const alone = await painted(twice)
  const refined = await painted({ ...twice, refiner: other, refineFrom: 0.3 })
  assert.deepEqual(refined.steps, alone.steps)
  assert.notDeepEqual(refined.latents, alone.latents)
  assert.equal(refined.settings.extra?.Refiner, other.name)
})
