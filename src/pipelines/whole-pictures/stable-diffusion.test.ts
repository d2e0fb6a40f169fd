import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertPaints, type PaintedCase, paintedBefore, pictureOf, slopes } from '../../testing/paints.js'
import { smallCheckpoint, type smallOriginals } from '../../testing/small-originals.js'
import { encodeSafetensors } from '../../weights/safetensors.js'
import { load } from '../loading/load.js'

/*
 * Pictures that the original programs painted with the same checkpoints: see fixtures/whole/README.md. A user's settings
 * alone lead to them.
 */

const prompt = 'a photograph of an astronaut riding a horse'
const negativePrompt = 'blurry, low quality'
const long = new Array(9).fill('a photograph of an astronaut riding a horse on the moon under the stars').join(', ')
const small = { width: 48, height: 32 }
/** Stable Diffusion's scripts, run on the processor. */
const compvis = { profile: 'compvis', noiseSource: 'cpu' } as const
const diffusers = { profile: 'diffusers' } as const
const comfyui = { profile: 'comfyui', noiseSource: 'cpu', seed: 42, guidance: 7 } as const
const a1111 = { ...comfyui, profile: 'a1111' } as const

const mask = pictureOf(48, 32, (x, y) => (y >= 8 && y < 24 && x >= 16 ? 255 : 0))

const cases: Readonly<Partial<Record<keyof typeof smallOriginals, Readonly<Record<string, PaintedCase>>>>> = {
  sd1: {
    'compvis-ddim': { settings: { ...compvis, ...small, seed: 42, count: 2, batchSize: 2, steps: 5 } },
    'compvis-eta': { settings: { ...compvis, ...small, seed: 7, steps: 4, eta: 1, guidance: 3 } },
    'compvis-plms': { settings: { ...compvis, ...small, seed: 42, steps: 6, sampler: 'plms' } },
    'compvis-dpm': { settings: { ...compvis, ...small, seed: 42, steps: 6, sampler: 'dpmpp_2m' } },
    'compvis-img2img': {
      settings: { ...compvis, image: slopes(64, 64), strength: 0.6, seed: 42, steps: 5, guidance: 5 },
    },
    'diffusers-pndm': { settings: { ...diffusers, ...small, negativePrompt, seed: 42, count: 2, steps: 6 } },
    'diffusers-euler_a': {
      settings: { ...diffusers, ...small, negativePrompt, seed: 42, count: 2, steps: 6, sampler: 'euler_ancestral' },
    },
    'diffusers-dpm': {
      settings: { ...diffusers, ...small, negativePrompt, seed: 42, count: 2, steps: 6, sampler: 'dpmpp_2m' },
    },
    'diffusers-img2img': {
      settings: {
        ...diffusers,
        image: slopes(48, 32),
        strength: 0.6,
        seed: 42,
        steps: 5,
        guidance: 5,
        sampler: 'ddim',
      },
    },
  },
  'sd1-inpainting': {
    'diffusers-inpaint': {
      settings: { ...diffusers, image: slopes(48, 32), mask, seed: 42, steps: 5, guidance: 5, sampler: 'ddim' },
      within: mask,
    },
    'comfyui-inpaint': {
      settings: { ...comfyui, image: slopes(48, 32), mask, steps: 4, sampler: 'euler_ancestral' },
      within: mask,
    },
    'a1111-inpaint': {
      settings: { ...a1111, image: slopes(48, 32), mask, strength: 0.8, steps: 5, sampler: 'euler_ancestral' },
    },
  },
  'sd2-v': {
    'stability-ddim': { settings: { ...compvis, ...small, seed: 42, steps: 5, guidance: 9 } },
    'a1111-v': {
      prompt: 'a (photograph:1.4) of an astronaut',
      settings: { ...a1111, ...small, negativePrompt, steps: 4, sampler: 'euler' },
    },
  },
  sdxl: {
    'a1111-xl-ays': { settings: { ...a1111, ...small, steps: 6, sampler: 'dpmpp_2m', schedule: 'ays' } },
    'a1111-xl': { prompt: long, settings: { ...a1111, ...small, negativePrompt, steps: 4, sampler: 'euler' } },
    'comfyui-xl': {
      prompt: 'a (photograph:1.4) of an astronaut',
      settings: { ...comfyui, ...small, negativePrompt, steps: 4, sampler: 'dpmpp_2m', schedule: 'karras' },
    },
    'diffusers-sdxl': {
      settings: { ...diffusers, ...small, seed: 42, steps: 5, guidance: 5, sampler: 'euler', schedule: 'leading' },
    },
    'diffusers-sdxl-neg': {
      settings: {
        ...diffusers,
        ...small,
        negativePrompt,
        originalSize: [400, 300],
        crop: [100, 8],
        targetSize: [48, 32],
        seed: 42,
        steps: 5,
        guidance: 5,
        sampler: 'euler',
        schedule: 'leading',
      },
    },
  },
}

const wanted = await paintedBefore('pictures.safetensors')

for (const [family, all] of Object.entries(cases)) {
  test(`${family}: ${Object.keys(all).join(', ')} paint what the originals do`, async () => {
    const tensors = smallCheckpoint(family as keyof typeof smallOriginals)
    await using model = await load(encodeSafetensors(tensors), { threads: 1 })
    assert.deepEqual([model.family, model.unplaced], [family, []])
    for (const [name, one] of Object.entries(all)) await assertPaints(model, wanted, [name, { prompt, ...one }])
  })
}
