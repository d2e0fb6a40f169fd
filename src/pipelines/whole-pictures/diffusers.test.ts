import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parametersOf } from '../../testing/checkpoint.js'
import { assertPaints, type PaintedCase, paintedBefore, pictureOf, slopes } from '../../testing/paints.js'
import { published } from '../../testing/published.js'
import { drawnCheckpoint } from '../../testing/small-originals.js'
import { encodeSafetensors } from '../../weights/safetensors.js'
import type { GenerateOptions } from '../generation/events.js'
import { load } from '../loading/load.js'
import type { Model } from '../model.js'

/*
 * Pictures of Stable Diffusion's relatives by diffusers' pipelines with the same checkpoints, their channels narrowed: see
 * fixtures/whole/README.md. Their encoders tell of a spread as large as the latents, so that what is drawn shows.
 */

type Json = Readonly<Record<string, unknown>>

const prompt = 'a photograph of an astronaut riding a horse'
const negativePrompt = 'blurry, low quality'
const diffusers = { profile: 'diffusers', seed: 42, steps: 6 } as const
const square = { width: 64, height: 64 }
const tiny = (family: string): Json => published.find(one => one.family === family)!.tiny

const depth = pictureOf(64, 64, (x, y) => (x * 2 + Math.floor((y * y) / 40)) % 256)
const byDepth = { ...diffusers, image: slopes(64, 64), depth }
const mask = pictureOf(64, 64, (x, y) => (y >= 16 && y < 48 && x >= 20 ? 255 : 0))
const masked = { ...diffusers, image: slopes(64, 64), mask, guidance: 5 } as const
const refined = {
  ...{ ...diffusers, image: slopes(64, 64), strength: 0.5, guidance: 5 },
  sampler: 'euler',
  schedule: 'leading',
} as const
const turbo = { ...diffusers, ...square, sampler: 'euler_ancestral', schedule: 'trailing', guidance: 0 } as const
const enlarged = { ...diffusers, steps: 5, sampler: 'ddim', image: slopes(24, 16) } as const

const cases: Readonly<Record<string, Readonly<Record<string, PaintedCase>>>> = {
  'sd2-depth': {
    // PNDM from a picture: cut within its list of calls, at its second one, and before its last.
    depth: { settings: { ...byDepth, strength: 0.6 } },
    'depth-first': { settings: { ...byDepth, strength: 0.9 } },
    'depth-last': { settings: { ...byDepth, strength: 0.2 } },
  },
  'sd-x4-upscaler': {
    x4: { settings: { ...enlarged, guidance: 9 } },
    'x4-noise': { settings: { ...enlarged, guidance: 5, noiseLevel: 100, negativePrompt } },
  },
  // Of a picture and a mask: what the mask leaves is noised anew before each call, or told to the network.
  sd1: {
    'inpaint4-euler_a': { settings: { ...masked, sampler: 'euler_ancestral' }, within: mask },
    'inpaint4-pndm': { settings: { ...masked, strength: 0.6 }, within: mask },
  },
  'sd1-inpainting': {
    'inpaint9-euler_a-part': { settings: { ...masked, sampler: 'euler_ancestral', strength: 0.6 }, within: mask },
  },
}

const wanted = await paintedBefore('diffusers.safetensors')
const drawn = (config: Json) => encodeSafetensors(drawnCheckpoint(parametersOf(config)))

for (const [family, all] of Object.entries(cases))
  test(`${family}: ${Object.keys(all).join(', ')} as by diffusers`, async () => {
    await using model = await load(drawn(tiny(family)), { threads: 1 })
    assert.deepEqual([model.family, model.unplaced], [family, []])
    for (const [name, one] of Object.entries(all)) await assertPaints(model, wanted, [name, { prompt, ...one }])
  })

test('Stable Diffusion 2 that predicts v down from no signal, its guidance brought back to range, as by diffusers', async () => {
  const json = tiny('sd2')
  const diffusion = { ...(json.diffusion as Json), parameterization: 'v', zero_terminal_snr: true }
  await using model = await load(drawn(json), { threads: 1, config: { ...json, diffusion } })
  const settings = { ...diffusers, ...square, steps: 5, schedule: 'trailing', guidanceRescale: 0.7 } as const
  await assertPaints(model, wanted, ['sd2-zero-ddim', { prompt, settings: { ...settings, sampler: 'ddim' } }])
  await assertPaints(model, wanted, ['sd2-zero-dpm', { prompt, settings: { ...settings, sampler: 'dpmpp_2m' } }])
})

test('Stable Diffusion XL and its refiner, alone and one after the other, as by diffusers', async () => {
  await using model = await load(drawn(tiny('sdxl')), { threads: 1 })
  await using refiner = await load(drawn(tiny('sdxl-refiner')), { threads: 1 })
  assert.deepEqual([model.family, refiner.family], ['sdxl', 'sdxl-refiner'])
  const paints = (by: Model, name: string, settings: GenerateOptions) =>
    assertPaints(by, wanted, [name, { prompt, settings }])
  for (const steps of [1, 4]) await paints(model, `turbo-${steps}`, { ...turbo, steps })
  await paints(refiner, 'refiner-img2img', refined)
  const scores = { aestheticScore: 7, negativeAestheticScore: 1.5 }
  await paints(refiner, 'refiner-img2img-neg', { ...refined, negativePrompt, ...scores })
  const handed = { ...diffusers, ...square, guidance: 5, refiner, refineFrom: 0.6 } as const
  await paints(model, 'refiner-handed-euler', { ...handed, sampler: 'euler', schedule: 'leading' })
  await paints(model, 'refiner-handed-dpm', { ...handed, sampler: 'dpmpp_2m' })
  await paints(model, 'refiner-handed-euler_a', { ...handed, sampler: 'euler_ancestral' })
})
