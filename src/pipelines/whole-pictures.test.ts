import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { bytesSource } from '../platform/sources.js'
import { smallCheckpoint, type smallOriginals } from '../testing/small-originals.js'
import { toFloat32 } from '../weights/dtypes.js'
import { weightsOf } from '../weights/open-weights.js'
import { encodeSafetensors } from '../weights/safetensors.js'
import type { GenerateOptions } from './generation/events.js'
import { load } from './load.js'

/*
 * Pictures that the original programs painted with the same checkpoints: see fixtures/whole/README.md. A user's settings
 * alone lead to them.
 */

const prompt = 'a photograph of an astronaut riding a horse'
const negativePrompt = 'blurry, low quality'
const small = { width: 48, height: 32 }
/** Stable Diffusion's scripts, run on the processor. */
const compvis = { profile: 'compvis', noiseSource: 'cpu' } as const
const diffusers = { profile: 'diffusers' } as const

const painted = (width: number, height: number, level: (x: number, y: number, channel: number) => number) => ({
  width,
  height,
  channels: 3 as const,
  data: Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const pixel = Math.floor(i / 3)
    return level(pixel % width, Math.floor(pixel / width), i % 3)
  }),
})
const picture = (width: number, height: number) =>
  painted(width, height, (x, y, c) => (x * 3 + y * 2 * (c + 1) + 40 * c) % 256)
const mask = painted(48, 32, (x, y) => (y >= 8 && y < 24 && x >= 16 ? 255 : 0))

interface Case {
  readonly settings: GenerateOptions
  /** Of the original's picture only what is white here is compared: the rest stays as it was. */
  readonly within?: { readonly data: Uint8Array }
}

const cases: Readonly<Partial<Record<keyof typeof smallOriginals, Readonly<Record<string, Case>>>>> = {
  sd1: {
    'compvis-ddim': { settings: { ...compvis, ...small, seed: 42, count: 2, batchSize: 2, steps: 5 } },
    'compvis-eta': { settings: { ...compvis, ...small, seed: 7, steps: 4, eta: 1, guidance: 3 } },
    'compvis-plms': { settings: { ...compvis, ...small, seed: 42, steps: 6, sampler: 'plms' } },
    'compvis-dpm': { settings: { ...compvis, ...small, seed: 42, steps: 6, sampler: 'dpmpp_2m' } },
    'compvis-img2img': {
      settings: { ...compvis, image: picture(64, 64), strength: 0.6, seed: 42, steps: 5, guidance: 5 },
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
        image: picture(48, 32),
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
      settings: { ...diffusers, image: picture(48, 32), mask, seed: 42, steps: 5, guidance: 5, sampler: 'ddim' },
      within: mask,
    },
  },
  'sd2-v': {
    'stability-ddim': { settings: { ...compvis, ...small, seed: 42, steps: 5, guidance: 9 } },
  },
  sdxl: {
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

const fixture = await readFile(new URL('../../fixtures/whole/pictures.safetensors', import.meta.url))
const wanted = await weightsOf(bytesSource(fixture, 'pictures.safetensors'))

for (const [family, all] of Object.entries(cases)) {
  test(`${family}: ${Object.keys(all).join(', ')} paint what the originals do`, async () => {
    const tensors = smallCheckpoint(family as keyof typeof smallOriginals)
    await using model = await load(encodeSafetensors(tensors), { threads: 1 })
    assert.deepEqual([model.family, model.unplaced], [family, []])
    for (const [name, { settings, within }] of Object.entries(all)) {
      const latents = toFloat32(await wanted.read(`${name}.latents`))
      const { bytes } = await wanted.read(`${name}.pictures`)
      for await (const event of model.generate(prompt, settings)) {
        if (event.type !== 'image') continue
        const { index, image, latents: made } = event
        const own = latents.subarray(index * made.data.length, (index + 1) * made.data.length)
        assert.ok(relative(made.data, own) < 1e-5, `${name}: latents are ${relative(made.data, own)} away`)
        const pixels = bytes.subarray(index * image.data.length, (index + 1) * image.data.length)
        const far = Array.from(image.data, (value, i) => Math.abs(value - pixels[i]!)).filter(
          (_, i) => within?.data[i] !== 0,
        )
        assert.ok(Math.max(...far) <= 1, `${name}: a pixel is ${Math.max(...far)} levels away`)
        const mean = far.reduce((sum, value) => sum + value, 0) / far.length
        assert.ok(mean < 2e-3, `${name}: pixels are ${mean} levels away in the mean`)
      }
    }
  })
}

/** L2 norm of the difference, by that of what is wanted. */
function relative(found: Float32Array, wanted: Float32Array): number {
  const norm = (x: Float32Array) => Math.sqrt(x.reduce((sum, value) => sum + value ** 2, 0))
  return norm(found.map((value, i) => value - wanted[i]!)) / norm(wanted)
}
