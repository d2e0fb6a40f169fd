import assert from 'node:assert/strict'
import { test } from 'node:test'
import { controlNetFile } from '../../testing/control-net.js'
import { assertPaints, type PaintedCase, paintedBefore, pictureOf, slopes } from '../../testing/paints.js'
import { smallLora, smallWord } from '../../testing/small-additions.js'
import { smallCheckpoint, smallOriginals } from '../../testing/small-originals.js'
import { unetConfig } from '../../unet/config.js'
import { encodeSafetensors } from '../../weights/safetensors.js'
import { load } from '../loading/load.js'

/** Pictures that ComfyUI's nodes painted with the same files: see fixtures/whole/README.md. */

const prompt = 'a photograph of an astronaut riding a horse'
const negativePrompt = 'blurry, low quality'
const long = new Array(9).fill('a photograph of an astronaut riding a horse on the moon under the stars').join(', ')
const comfyui = { profile: 'comfyui', noiseSource: 'cpu', seed: 42, steps: 4, guidance: 7 } as const
const given = { ...comfyui, width: 48, height: 32 } as const
const two = { count: 2, batchSize: 2 }
const from = { ...comfyui, image: slopes(48, 32) } as const
/** Its edges lie within latents. */
const mask = pictureOf(48, 32, (x, y) => (y >= 5 && y < 20 && x >= 11 && x < 41 ? 255 : 0))

const cases: Readonly<Record<string, PaintedCase>> = {
  euler_ancestral: { settings: { ...given, ...two, negativePrompt, sampler: 'euler_ancestral' } },
  weights: {
    prompt: 'a (photograph:1.4) of an [astronaut] riding a ((horse))',
    settings: { ...given, negativePrompt: '(blurry:0.6), low quality', sampler: 'dpmpp_2m', schedule: 'karras' },
  },
  sde: { settings: { ...given, sampler: 'dpmpp_2m_sde' } },
  lms: { settings: { ...given, sampler: 'lms' } },
  lcm: { settings: { ...given, guidance: 1, sampler: 'lcm', schedule: 'sgm_uniform' } },
  uni_pc: { settings: { ...given, sampler: 'uni_pc' } },
  ddim: { settings: { ...given, sampler: 'ddim', schedule: 'ddim_uniform' } },
  rescale: { settings: { ...given, guidanceRescale: 0.7 } },
  'from-picture': { settings: { ...from, ...two, strength: 0.6, sampler: 'euler_ancestral' } },
  'from-picture-whole': { settings: { ...from, strength: 1 } },
  mask: { settings: { ...from, mask, strength: 0.8, sampler: 'heun', steps: 3 }, within: mask },
  'mask-ddim': { settings: { ...from, mask, strength: 0.8, sampler: 'ddim' }, within: mask },
  'clip-skip': { prompt: 'a (photograph:1.4) of an astronaut', settings: { ...given, clipSkip: 2 } },
  freeu: { settings: { ...given, freeu: '2', freeuB1: 1.3, freeuB2: 1.4, freeuS1: 0.9, freeuS2: 0.2 } },
  long: { settings: { ...given, negativePrompt: `${long}, ${long}` } },
}

const checkpoint = encodeSafetensors(smallCheckpoint('sd1'))
const wanted = await paintedBefore('comfyui.safetensors')

test(`${Object.keys(cases).join(', ')}: as by ComfyUI`, async () => {
  await using model = await load(checkpoint, { threads: 1 })
  for (const [name, one] of Object.entries(cases)) await assertPaints(model, wanted, [name, { prompt, ...one }])
})

test('a LoRA, a learned word and a ControlNet for a part of the way: as by ComfyUI', async () => {
  const added = {
    loras: [{ file: smallLora(), weight: 0.7 }],
    words: [smallWord()],
    controls: [{ file: controlNetFile(unetConfig.parse(smallOriginals.sd1.unet_config), 8, () => 1), weight: 0.8 }],
  }
  await using model = await load(checkpoint, { threads: 1, ...added })
  assert.deepEqual(model.unplaced, [])
  const told = 'a photograph of embedding:my-cat riding a (horse:1.3)'
  const led = { hint: slopes(48, 32), controlFrom: [0.2], controlTo: [0.7] }
  await assertPaints(model, wanted, ['added', { prompt: told, settings: { ...given, ...led, negativePrompt } }])
})
