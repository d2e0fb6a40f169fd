import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { tinyCheckpoint } from '../../testing/tiny-model.js'
import { load } from '../loading/load.js'
import type { Model } from '../model.js'
import { settingsOf } from '../settings/parameters.js'

let model: Model
before(async () => {
  model = await load(tinyCheckpoint(), { threads: 1 })
})
after(() => model.dispose())

for (const hiresBy of ['pixels', 'latents'] as const) {
  test(`by ${hiresBy}: pictures come larger, with steps of both goes and settings that make them again`, async () => {
    const settings = { seed: 4, count: 2, batch: 1, steps: 4, hires: 1.5, hiresBy, hiresSteps: 6 } as const
    const steps: number[] = []
    const made = []
    for await (const event of model.generate('red heart', settings)) {
      if (event.type === 'step') steps.push(event.step)
      if (event.type !== 'start')
        assert.equal(
          'total' in event ? event.total : undefined,
          'total' in event ? 2 * 4 + 2 * (hiresBy === 'pixels' ? 3 : 4) : undefined,
        )
      if (event.type === 'image') made.push(event)
    }
    assert.deepEqual(
      steps,
      Array.from(steps.keys(), i => i + 1),
    )
    assert.deepEqual(
      made.map(({ image, seed, index }) => [image.width, image.height, seed, index]),
      [
        [24, 24, 4, 0],
        [24, 24, 5, 1],
      ],
    )
    const { parameters } = made[1]!.image
    assert.deepEqual([parameters.width, parameters.extra?.['Hires upscale']], [16, '1.5'])
    const again = await model.generate('red heart', settingsOf(parameters)).image()
    assert.deepEqual(again.data, made[1]!.image.data)
  })
}

test('two goes start from noise alone', () => {
  const image = { data: new Uint8Array(16 * 16 * 3), width: 16, height: 16, channels: 3 } as const
  assert.throws(() => model.generate('red heart', { hires: 2, image }), /hires paints first small, then larger/)
})

test('as A1111 has it, the second go takes all steps that are asked for', async () => {
  for (const hiresStrength of [0.3, 0.5, 0.7, 1]) {
    const settings = { profile: 'a1111', sampler: 'euler', steps: 2, hires: 1.5, hiresSteps: 4, hiresStrength } as const
    const events = model.generate('red heart', { ...settings, seed: 1, promptStyle: 'plain' })
    const { value } = await events.next()
    assert.ok(value?.type === 'start')
    assert.equal(value.total, 2 + 4)
    await events.return()
  }
})
