import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parametersOf } from '../../testing/checkpoint.js'
import { assertPaints, type PaintedCase, paintedBefore, pictureOf, slopes } from '../../testing/paints.js'
import { drawnCheckpoint, smallCheckpoint, smallOriginals } from '../../testing/small-originals.js'
import type { TensorData } from '../../weights/dtypes.js'
import { encodeSafetensors } from '../../weights/safetensors.js'
import { load } from '../loading/load.js'

/*
 * Pictures that stable-diffusion.cpp painted with the same checkpoints: see fixtures/whole/README.md. Prompts of several
 * chunks with weights and letters beyond ASCII, seeds beyond 32 bits, encoders whose draws show.
 */

const prompt = `${'(Big café:1.3) \\[house\\], '.repeat(12)}BREAK [red mountain] by the (sea`
const negativePrompt = 'blurry, (low:0.7) quality'
const sdcpp = { profile: 'sdcpp', seed: 42, negativePrompt } as const
const square = { width: 64, height: 64 }
const image = slopes(64, 64)
const mask = pictureOf(64, 64, (x, y) => (x >= 24 && y >= 16 && y < 48 ? 255 : 0))

const sd1: Readonly<Record<string, PaintedCase>> = {
  text: { settings: { ...sdcpp, ...square, seed: 1234567890123, count: 2, steps: 3, guidance: 7 } },
  lcm: { settings: { ...sdcpp, ...square, noiseSource: 'cpu', sampler: 'lcm', steps: 4, guidance: 1 } },
  picture: {
    settings: { ...sdcpp, image, strength: 0.75, count: 2, sampler: 'dpmpp_2m_sde', steps: 4, guidance: 7 },
  },
}
const inpainting: PaintedCase = {
  settings: { ...sdcpp, image, mask, strength: 0.8, sampler: 'heun', steps: 3, guidance: 5 },
  within: mask,
}
const sd2: PaintedCase = {
  settings: { ...sdcpp, ...square, clipSkip: 1, sampler: 'ddim', steps: 4, guidance: 7 },
}
const xl: PaintedCase = {
  settings: {
    ...{ ...sdcpp, negativePrompt: '', width: 128, height: 64 },
    sampler: 'dpmpp_2s_ancestral',
    steps: 3,
    guidance: 5,
  },
}

const families: readonly (readonly [string, Map<string, TensorData>, Readonly<Record<string, PaintedCase>>])[] = [
  ['sd1', drawnCheckpoint(parametersOf(smallOriginals.sd1)), sd1],
  ['sd1-inpainting', drawnCheckpoint(parametersOf(smallOriginals['sd1-inpainting'])), { inpainting }],
  ['sd2-v', smallCheckpoint('sd2-v'), { v: sd2 }],
  ['sdxl', smallCheckpoint('sdxl'), { xl }],
]
const wanted = await paintedBefore('sdcpp.safetensors')

for (const [family, tensors, cases] of families)
  test(`${family}: ${Object.keys(cases).join(', ')} as by stable-diffusion.cpp`, async () => {
    await using model = await load(encodeSafetensors(tensors), { threads: 1 })
    assert.deepEqual([model.family, model.unplaced], [family, []])
    for (const [name, one] of Object.entries(cases))
      await assertPaints(model, wanted, [name, { prompt, tolerance: 2e-5, ...one }])
  })
