import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { parseParameters } from '../../image/index.js'
import { assertPaints, type PaintedCase, paintedBefore, pictureOf, slopes } from '../../testing/paints.js'
import { smallLora, smallWord } from '../../testing/small-additions.js'
import { smallCheckpoint } from '../../testing/small-originals.js'
import { encodeSafetensors } from '../../weights/safetensors.js'
import { load } from '../loading/load.js'
import { settingsOf } from '../settings/parameters.js'

/** Pictures that AUTOMATIC1111's web interface painted with the same files, and what it told of them: see fixtures/whole/README.md. */

const prompt = 'a photograph of an astronaut riding a horse'
const negativePrompt = 'blurry, low quality'
const long = new Array(9).fill('a photograph of an astronaut riding a horse on the moon under the stars').join(', ')
const edits = 'a photograph of [an astronaut:a cat:0.5] riding a [red|blue] horse'
const a1111 = { profile: 'a1111', noiseSource: 'cpu', seed: 42, steps: 4, guidance: 7, sampler: 'euler' } as const
const given = { ...a1111, width: 48, height: 32 } as const
const from = { ...a1111, image: slopes(48, 32), strength: 0.6, steps: 5 } as const
/** Its edges lie within latents. */
const mask = pictureOf(48, 32, (x, y) => (y >= 5 && y < 20 && x >= 11 && x < 41 ? 255 : 0))

const cases: Readonly<Record<string, PaintedCase>> = {
  device: { settings: { ...given, noiseSource: 'gpu', sampler: 'euler_ancestral' } },
  noise: { settings: { ...given, negativePrompt, count: 2, sampler: 'euler_ancestral', eta: 0.5, seedDelta: 31337 } },
  ddim: { settings: { ...given, count: 2, sampler: 'ddim', eta: 0.5 } },
  plms: { settings: { ...given, sampler: 'plms' } },
  uni_pc: { settings: { ...given, sampler: 'uni_pc' } },
  lcm: { settings: { ...given, guidance: 1, sampler: 'lcm' } },
  dpm_fast: { settings: { ...given, sampler: 'dpm_fast' } },
  sde: { settings: { ...given, count: 2, sampler: 'dpmpp_sde' } },
  'sde-sgm': { settings: { ...given, sampler: 'dpmpp_2m_sde', schedule: 'sgm_uniform' } },
  weights: {
    prompt: 'a (photograph:1.4) of an [astronaut] riding a ((horse))',
    settings: { ...given, negativePrompt: '(blurry:0.6), low quality' },
  },
  and: {
    prompt: 'a photograph of an astronaut :0.7 AND a [red|blue] horse :1.2',
    settings: { ...given, negativePrompt },
  },
  edits: { prompt: edits, settings: { ...given, sampler: 'heun', negativePrompt: '[blurry:sharp:0.5]' } },
  variations: {
    settings: { ...given, count: 2, sampler: 'euler_ancestral', variationSeed: 7, variationStrength: 0.3 },
  },
  'from-picture': { prompt: edits, settings: { ...from, sampler: 'dpmpp_2m_sde' } },
  'from-larger': {
    settings: { ...from, image: slopes(80, 64), width: 48, height: 32, fit: 'stretch', sampler: 'ddim' },
  },
  mask: { settings: { ...from, mask, strength: 0.8, sampler: 'euler_ancestral' } },
  'mask-plms': { settings: { ...from, mask, strength: 0.8, sampler: 'plms' } },
  'hires-latents': {
    prompt: edits,
    settings: { ...given, sampler: 'euler_ancestral', hires: 2, hiresBy: 'latents', hiresStrength: 0.7 },
  },
  'hires-pixels': { settings: { ...given, hires: 2, hiresBy: 'pixels', hiresStrength: 0.5, hiresSteps: 3 } },
  'clip-skip': { prompt: 'a (photograph:1.4) of an astronaut', settings: { ...given, clipSkip: 2 } },
  long: { prompt: `${long} BREAK a (horse:1.3)`, settings: { ...given, negativePrompt } },
}
const added: PaintedCase = {
  prompt: 'a photograph of my-cat riding a (horse:1.3) <lora:small-style:0.7>',
  settings: { ...given, negativePrompt },
}

const checkpoint = encodeSafetensors(smallCheckpoint('sd1'))
const wanted = await paintedBefore('a1111.safetensors')

test(`${Object.keys(cases).join(', ')}: as by AUTOMATIC1111's web interface`, async () => {
  await using model = await load(checkpoint, { threads: 1 })
  for (const [name, one] of Object.entries(cases)) await assertPaints(model, wanted, [name, { prompt, ...one }])
})

test("a LoRA and a learned word: as by AUTOMATIC1111's web interface", async () => {
  const adaptation = { loras: [{ file: smallLora(), weight: 0.7 }], words: [smallWord()] }
  await using model = await load(checkpoint, { threads: 1, ...adaptation })
  assert.deepEqual(model.unplaced, [])
  await assertPaints(model, wanted, ['added', added])
})

test('what it tells of its pictures are the settings that paint them', async () => {
  const texts = JSON.parse(await readFile(new URL('../../../fixtures/whole/a1111.json', import.meta.url), 'utf8'))
  const tricky: PaintedCase = {
    prompt: 'a, "quoted: thing", (x:1.2)\nline two, Steps: 3',
    settings: { ...given, steps: 1, negativePrompt: '<lora:x:1> "a", b: c, d: e, f: g' },
  }
  for (const [name, one] of Object.entries({ ...cases, tricky } as Readonly<Record<string, PaintedCase>>)) {
    const read = parseParameters(texts[name])
    // The picture, its mask and what fits it are beside the text, and so is the number of pictures.
    const { image: _, mask: __, fit: ___, count: ____, ...settings } = one.settings
    const { schedule, ...found } = settingsOf(read)
    assert.equal(read.prompt, one.prompt ?? prompt, name)
    assert.deepEqual({ width: 48, height: 32, ...settings }, { ...found, ...(settings.schedule && { schedule }) }, name)
  }
})
