import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { tinyCheckpoint } from '../../../testing/tiny-model.js'
import { load } from '../../loading/load.js'
import type { Model } from '../../model.js'
import type { GenerateOptions } from '../events.js'

let model: Model
before(async () => {
  model = await load(tinyCheckpoint(), { threads: 1 })
})
after(() => model.dispose())

async function latents(prompt: string, options: GenerateOptions) {
  const made: Float32Array[] = []
  for await (const event of model.generate(prompt, { seed: 3, steps: 3, ...options }))
    if (event.type === 'image') made.push(event.latents.data)
  return made
}

const distance = (a: Float32Array, b: Float32Array) => Math.hypot(...a.map((value, i) => value - b[i]!))

test('between two prompts the ends are their own pictures, and the middle is neither', async () => {
  const [from] = await latents('red heart', {})
  const [to] = await latents('blue heart', {})
  const at = async (toShare: number) => (await latents('red heart', { toPrompt: 'blue heart', toShare }))[0]!
  assert.ok(distance(await at(0), from!) < 1e-5)
  assert.ok(distance(await at(1), to!) < 1e-4)
  const [near, middle] = [await at(0.1), await at(0.5)]
  assert.ok(distance(near, from!) < distance(middle, from!) && distance(middle, to!) < distance(from!, to!))
})

test('variations lie between the seed and the variation seed, alone as in a batch, and say so', async () => {
  const [own] = await latents('red heart', { seed: 3 })
  const [other] = await latents('red heart', { seed: 11 })
  const varied = { seed: 3, variationSeed: 10, variationStrength: 0.1, count: 3 }
  const [, second] = await latents('red heart', varied)
  assert.ok(distance(second!, own!) < distance(other!, own!))
  const [alone] = await latents('red heart', { seed: 3, variationSeed: 11, variationStrength: 0.1 })
  assert.ok(distance(second!, alone!) < 1e-4)
  const [whole] = await latents('red heart', { seed: 3, variationSeed: 11, variationStrength: 1 })
  assert.ok(distance(whole!, other!) < 1e-4)
  const { parameters } = await model.generate('red heart', { steps: 1, ...varied }).image()
  assert.deepEqual(parameters.extra, { 'Variation seed': '10', 'Variation seed strength': '0.1' })
  assert.throws(() => model.generate('red heart', { variationSeed: 1 }), /variationSeed: .*changes nothing without/)
})
