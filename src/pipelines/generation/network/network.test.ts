import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { tinyCheckpoint, tinyConfig } from '../../../testing/tiny-model.js'
import { load } from '../../loading/load.js'
import type { Model } from '../../model.js'
import type { GenerateSettings } from '../../settings/index.js'
import { settingsOf } from '../../settings/parameters.js'

let model: Model
let plain: Float32Array
before(async () => {
  const config = tinyConfig()
  // Two widths, as FreeU tells levels apart by.
  model = await load(tinyCheckpoint({ ...config, unet_config: { ...config.unet_config!, channel_mult: [1, 2] } }), {
    threads: 1,
  })
  plain = await painted({})
})
after(() => model.dispose())

const base: GenerateSettings = { seed: 5, steps: 3, guidance: 4 }
/** The latents of a picture; as numbers, small differences show. */
async function painted(settings: GenerateSettings): Promise<Float32Array> {
  for await (const event of model.generate('red heart', { ...base, ...settings }))
    if (event.type === 'image') return event.latents.data
  throw new Error('no picture')
}
const distance = (a: Float32Array, b: Float32Array) => Math.hypot(...a.map((v, i) => v - b[i]!)) / Math.hypot(...b)
const same = (a: Float32Array, b: Float32Array) => assert.ok(distance(a, b) < 1e-5, `${distance(a, b)}`)
const other = (a: Float32Array, b: Float32Array) => assert.ok(distance(a, b) > 1e-4, `${distance(a, b)}`)

test('guidance acts between two noise levels alone', async () => {
  same(await painted({ guidanceFrom: 1e9, guidanceTo: 0 }), plain)
  const none = await painted({ guidance: 1 })
  same(await painted({ guidanceFrom: 0 }), none)
  same(await painted({ guidanceTo: 1e9, pag: 2 }), none)
  const some = await painted({ guidanceFrom: 1 })
  other(some, plain)
  other(some, none)
})

test('CFG++ at 1 is the conditional image with the noise of no condition, at 0 no condition at all', async () => {
  same(await painted({ guidanceMethod: 'cfg++', guidance: 0 }), await painted({ guidance: 0 }))
  other(await painted({ guidanceMethod: 'cfg++', guidance: 1 }), await painted({ guidance: 1 }))
  const attempt = (settings: GenerateSettings, reason: RegExp) => assert.rejects(painted(settings), reason)
  await attempt({ guidanceMethod: 'cfg++', guidance: 0.5, sampler: 'heun' }, /for the sampler ddim, found heun/)
  await attempt({ guidanceMethod: 'cfg++', guidance: 3 }, /goes from 0 to 1/)
  await attempt({ guidanceFrom: 1, guidanceTo: 2 }, /is above guidanceFrom/)
})

test('rescaled, mimicked and thresholded answers differ, and are the plain ones where nothing is left to do', async () => {
  same(await painted({ guidanceRescale: 0 }), plain)
  other(await painted({ guidanceRescale: 0.7 }), plain)
  same(await painted({ mimicScale: 4 }), plain)
  other(await painted({ mimicScale: 1 }), plain)
  const limited = await painted({ threshold: 1, thresholdMost: 1000 })
  const largest = limited.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
  assert.ok(Math.abs(largest - 1) < 1e-5, `${largest}`)
  other(await painted({ threshold: 0.5 }), plain)
})

test('weaker copies lead away as far as they are asked to, also under several conditions', async () => {
  for (const by of ['pag', 'skipLayers', 'sag'] as const) {
    const [little, much] = [await painted({ [by]: 0.01 }), await painted({ [by]: 3 })]
    other(much, plain)
    assert.ok(distance(little, plain) < distance(much, plain) / 20)
  }
  other(await painted({ pag: 2, skipLayers: 2 }), await painted({ pag: 2 }))
  same(await painted({ sag: 2, guidanceTo: 1e9 }), await painted({ guidanceTo: 1e9 }))
  // What is attended to is told by windows as well, and by deep features that are reused.
  for (const way of [{ width: 32, window: 16 }, { deepCache: 3 }])
    other(await painted({ ...way, sag: 2 }), await painted(way))
  await assert.rejects(
    painted({ pag: 2, pagBlocks: ['input_blocks.1'] }),
    /"input_blocks.1" is no block with attention; .*middle_block/,
  )
})

test('FreeU and token merging change the network, and settings that say nothing do not', async () => {
  const still = { freeuB1: 1, freeuB2: 1, freeuS1: 1, freeuS2: 1 }
  same(await painted({ freeu: '2', ...still }), plain)
  other(await painted({ freeu: '1' }), await painted({ freeu: '2' }))
  other(await painted({ tokenMerging: 0.5 }), plain)
})

test('deep features are reused between full calls', async () => {
  const steps = 6
  const whole = await painted({ steps })
  same(await painted({ steps, deepCache: 1 }), whole)
  const [second, third] = [await painted({ steps, deepCache: 2 }), await painted({ steps, deepCache: 3 })]
  other(second, whole)
  assert.ok(distance(second, whole) < 0.5, `${distance(second, whole)}`)
  other(third, second)
  other(await painted({ steps, deepCache: 2, deepCacheOuter: 2 }), second)
  await assert.rejects(painted({ deepCache: 2, deepCacheOuter: 9 }), /deepCacheOuter is 9; .* at most 3/)
})

test('what changed a picture is in its settings, and read from there', async () => {
  const settings: GenerateSettings = {
    guidance: 0.5,
    guidanceMethod: 'cfg++',
    guidanceFrom: 6,
    guidanceTo: 0.5,
    guidanceRescale: 0.5,
    mimicScale: 0.4,
    mimicPercentile: 0.9,
    threshold: 0.99,
    thresholdMost: 2,
    pag: 2,
    pagBlocks: ['middle_block'],
    skipLayers: 1,
    skippedBlocks: ['middle_block', 'input_blocks.3'],
    freeu: '2',
    freeuB1: 1.1,
    freeuB2: 1.2,
    freeuS1: 0.8,
    freeuS2: 0.3,
    tokenMerging: 0.25,
    deepCache: 2,
    deepCacheOuter: 2,
  }
  for await (const event of model.generate('red heart', { ...base, ...settings })) {
    if (event.type !== 'image') continue
    const told = settingsOf(event.settings) as Record<string, unknown>
    for (const [name, value] of Object.entries(settings)) assert.deepEqual(told[name], value, name)
  }
})
