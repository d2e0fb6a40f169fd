import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Image } from '../../image/index.js'
import { tinyCheckpoint, tinyConfig } from '../../testing/tiny-model.js'
import { drawing } from '../../testing/values.js'
import { load } from '../loading/load.js'
import type { Model } from '../model.js'
import type { GenerateOptions } from './events.js'

let model: Model
before(async () => {
  model = await load(tinyCheckpoint(), { threads: 1 })
})
after(() => model.dispose())

/** A picture of chance. */
function picture(width: number, height: number, seed = 1): Image {
  const numbers = drawing(seed).normal(width * height * 3).data
  const data = Uint8Array.from(numbers, value => Math.max(0, Math.min(255, 128 + 40 * value)))
  return { data, width, height, channels: 3 }
}

/** White from a column on, black before. */
const maskFrom = (column: number, width = 16, height = 16): Image => ({
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) => (Math.floor(i / 3) % width >= column ? 255 : 0)),
  width,
  height,
  channels: 3,
})

async function run(options: GenerateOptions) {
  const made = []
  for await (const event of model.generate('red heart', { seed: 3, steps: 5, ...options }))
    if (event.type === 'image') made.push(event)
  return made
}

const distance = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.hypot(...Array.from(a, (value, i) => value - b[i]!))

test('the more strength, the further from the picture; a strength of one step stays nearest', async () => {
  const image = picture(16, 16)
  const { data } = await model.encode(image)
  const distances = []
  for (const strength of [0.2, 0.6, 1]) {
    const [made] = await run({ image, strength })
    assert.equal(made!.settings.extra?.['Denoising strength'], String(strength))
    distances.push(distance(made!.latents.data, data))
  }
  assert.ok(distances[0]! < distances[1]! && distances[1]! < distances[2]!, String(distances))
})

test('a picture that starts from another comes out of a batch as it would alone', async () => {
  const image = picture(16, 16)
  const together = await run({ image, strength: 0.6, seed: undefined, seeds: [1, 7] })
  const [alone] = await run({ image, strength: 0.6, seed: 7 })
  assert.ok(distance(together[1]!.latents.data, alone!.latents.data) < 1e-4)
})

for (const [sampler, profile] of [
  ['ddim'],
  ['dpmpp_2m'],
  ['heun'],
  ['euler_ancestral'],
  ['uni_pc'],
  ['dpmpp_sde', 'a1111'],
] as const) {
  test(`${sampler}: what a mask leaves black stays, in latents to rounding and in pixels to the bit`, async () => {
    const image = picture(16, 16)
    const { data, shape } = await model.encode(image)
    const [made] = await run({ image, mask: maskFrom(9), sampler, profile })
    const [, h, w] = shape
    const known = Array.from(data.keys()).filter(i => i % w < 4)
    const at = (values: Float32Array) => known.map(i => values[i]!)
    assert.ok(distance(at(made!.latents.data), at(data)) < 1e-3 * Math.sqrt(known.length), `${h}`)
    for (const [i, value] of made!.image.data.entries())
      if (Math.floor(i / 3) % 16 < 9) assert.equal(value, image.data[i])
    assert.ok(distance(made!.image.data, image.data) > 100)
  })
}

test('whatever the network predicts, known latents stay', async () => {
  for (const parameterization of ['epsilon', 'x0', 'flow'] as const) {
    const config = tinyConfig({ text: false })
    const diffusion = { ...config.diffusion!, parameterization }
    await using other = await load(tinyCheckpoint({ ...config, diffusion }), { threads: 1 })
    const image = picture(16, 16)
    const { data, shape } = await other.encode(image)
    for await (const event of other.generate('', {
      image,
      mask: maskFrom(9),
      seed: 1,
      steps: 3,
      sampler: 'dpmpp_2m',
    })) {
      if (event.type !== 'image') continue
      const known = Array.from(data.keys()).filter(i => i % shape[2] < 4)
      const off = distance(
        known.map(i => event.latents.data[i]!),
        known.map(i => data[i]!),
      )
      assert.ok(off < 1e-3 * Math.sqrt(known.length), `${parameterization}: ${off}`)
    }
  }
})

test('as the original scripts do it the known part is noised before each step, and its pixels stay all the same', async () => {
  const image = picture(16, 16)
  const settings = { image, mask: maskFrom(9), profile: 'compvis', strength: 0.8, promptStyle: undefined } as const
  const [made] = await run({ ...settings, sampler: 'ddim' })
  const [other] = await run({ ...settings, sampler: 'plms' })
  for (const event of [made, other])
    for (const [i, value] of event!.image.data.entries())
      if (Math.floor(i / 3) % 16 < 9) assert.equal(value, image.data[i])
  const { data, shape } = await model.encode(image)
  const known = Array.from(data.keys()).filter(i => i % shape[2] < 4)
  const off = distance(
    known.map(i => made!.latents.data[i]!),
    known.map(i => data[i]!),
  )
  // What was put in last is noise of the lowest level, which the model takes away as well as it can.
  assert.ok(off > 0 && off < distance(data, new Float32Array(data.length)))
})

test('pictures of other sizes are cut or stretched to what can be painted, large ones made smaller', async () => {
  const size = async (options: GenerateOptions) => {
    const [{ image } = { image: undefined }] = await run({ strength: 0.2, ...options })
    return [image!.width, image!.height]
  }
  assert.deepEqual(await size({ image: picture(19, 17) }), [16, 16])
  assert.deepEqual(await size({ image: picture(64, 32) }), [32, 16])
  assert.deepEqual(await size({ image: picture(20, 30), width: 16, height: 16, fit: 'stretch' }), [16, 16])
})

test('a generation goes on from the latents of another, one for all or one each', async () => {
  const [first] = await run({})
  const [again] = await run({ latents: first!.latents, strength: 0.2 })
  assert.ok(distance(again!.latents.data, first!.latents.data) < distance(first!.latents.data, new Float32Array(256)))
  assert.deepEqual((await model.decode(first!.latents)).data, first!.image.data)
  const two = await run({ latents: [first!.latents, again!.latents], count: 2, strength: 0.2 })
  const [alone] = await run({ latents: again!.latents, seed: 4, strength: 0.2 })
  assert.ok(distance(two[1]!.latents.data, alone!.latents.data) < 1e-4)
  await assert.rejects(
    run({ latents: [first!.latents, first!.latents], count: 3 }),
    /latents of 2 pictures and 3 to paint/,
  )
  const wrong = { data: new Float32Array(4), shape: [4, 8, 8] as const }
  await assert.rejects(run({ latents: wrong }), /4 numbers of shape \[4, 8, 8\], this model and size want \[4, 8, 8\]/)
})

test('what does not fit together is refused before anything runs', () => {
  const refused = (options: GenerateOptions, message: RegExp) =>
    assert.throws(() => model.generate('red heart', options), message)
  const image = picture(16, 16)
  refused({ strength: 0.5 }, /strength: .*give that picture as image/)
  refused({ image, strength: 0 }, /strength: /)
  refused({ image, strength: 1.5 }, /strength: /)
  refused({ mask: maskFrom(3) }, /mask says where to paint in a picture: give that as image/)
  refused({ image, mask: maskFrom(3, 8, 8) }, /mask has 8x8 pixels and image 16x16/)
  refused({ image, latents: { data: new Float32Array(256), shape: [4, 8, 8] } }, /either image or latents/)
})

test('a black mask is refused, and a strength that leaves no step', async () => {
  await assert.rejects(run({ image: picture(16, 16), mask: maskFrom(16) }), /mask is black/)
  await assert.rejects(run({ image: picture(16, 16), strength: 0.05 }), /no step would be taken/)
})
