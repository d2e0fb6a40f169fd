import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { modelSchedule, samplingPlan } from '../../../diffusion/index.js'
import type { Image } from '../../../image/index.js'
import { plainNoise } from '../../../samplers/index.js'
import { controlNetFile } from '../../../testing/control-net.js'
import { tinyCheckpoint, tinyConfig } from '../../../testing/tiny-model.js'
import { drawing } from '../../../testing/values.js'
import { load } from '../../loading/load.js'
import type { Model } from '../../model.js'
import { modelConfig } from '../../model-config.js'
import { settingsOf } from '../../settings/parameters.js'
import type { GenerateOptions } from '../events.js'
import type { GeneratedImage } from '../generated-image.js'
import type { Latents } from '../latents.js'
import { blend, cut, grid, type Sides } from './grid.js'

let model: Model
before(async () => {
  model = await load(tinyCheckpoint(), { threads: 1 })
})
after(() => model.dispose())

const settings = { steps: 6, strength: 0.5, schedule: 'trailing', seed: 3 } as const

/** Latents with which a generation begins at x: all but the noise that its seed adds. */
function beginningAt(x: Float32Array, [height, width]: Sides): Latents {
  const { alphasCumprod } = modelSchedule(tinyConfig().diffusion!)
  const { alpha, sigma } = samplingPlan(alphasCumprod, settings)[0]!.from
  const shape = [4, height, width] as const
  const pictures = [{ seed: settings.seed, place: 0, of: 1 }]
  const noise = plainNoise({ pictures, shape, source: 'cpu' }).start()
  return { shape, data: x.map((value, i) => (value - sigma * noise[i]!) / alpha) }
}

interface Made {
  readonly latents: Float32Array
  readonly image: GeneratedImage
}

async function made(options: GenerateOptions, { from = model, prompt = 'red heart' } = {}): Promise<Made> {
  for await (const event of from.generate(prompt, { ...settings, ...options }))
    if (event.type === 'image') return { latents: event.latents.data, image: event.image }
  throw new Error('no picture')
}

/** The largest difference of two arrays. */
const difference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)))

const planes = (...[height, width]: Sides) => Float32Array.from(drawing(7).normal(4, height, width).data)

/** Planes rolled by half, along the axes that are asked for. */
const rolled = (data: Float32Array, [height, width]: Sides, axes: string) =>
  cut(data, [height, width], [height, width], [axes.includes('y') ? height / 2 : 0, axes.includes('x') ? width / 2 : 0])

/** R, G and B of a picture as planes. */
const colours = ({ data, width, height }: Image) =>
  Float32Array.from(data, (_, i) => data[(i % (width * height)) * 3 + Math.floor(i / (width * height))]!)

for (const [seamless, options] of [
  ['xy', {}],
  ['x', { width: 24, window: 12 }],
  ['y', { width: 8, height: 24, window: 12 }],
] as const) {
  test(`seamless ${seamless}: noise rolled by half gives the picture rolled by half, and along no other axis`, async () => {
    const { width, height }: { width: number; height: number } = { width: 16, height: 16, ...options }
    const [pixels, sides] = [
      [height, width],
      [height / 2, width / 2],
    ] as const
    const x = planes(...sides)
    const start = async (x: Float32Array) => made({ ...options, seamless, latents: beginningAt(x, sides) })
    const plain = await start(x)
    for (const axes of ['x', 'y', 'xy']) {
      const moved = await start(rolled(x, sides, axes))
      const off = difference(moved.latents, rolled(plain.latents, sides, axes))
      const seen = difference(colours(moved.image), rolled(colours(plain.image), pixels, axes))
      if ([...axes].every(axis => seamless.includes(axis))) {
        assert.ok(off < 1e-4, `latents differ by ${off}`)
        assert.ok(seen <= 1, `pixels differ by ${seen}`)
      } else assert.ok(off > 1e-3, `rolled along ${axes} it is the same to ${off}`)
    }
    const { strength: _, ...told } = settingsOf(plain.image.parameters)
    assert.deepEqual({ ...told, ...options, seamless }, told)
  })
}

for (const deepCache of [1, 2])
  test(`windows side by side are painted as alone, deep blocks computed every ${deepCache} steps`, async () => {
    const x = planes(8, 16)
    const way = { deepCache, batch: 1 }
    const large = await made({ ...way, width: 32, window: 16, windowOverlap: 0, latents: beginningAt(x, [8, 16]) })
    for (const left of [0, 8]) {
      const part = cut(x, [8, 16], [8, 8], [0, left])
      const alone = await made({ ...way, latents: beginningAt(part, [8, 8]) })
      assert.ok(difference(cut(large.latents, [8, 16], [8, 8], [0, left]), alone.latents) < 1e-4)
    }
  })

test('where windows overlap their steps are averaged, in however many calls of the network', async () => {
  const [sides, window] = [
    [8, 14],
    [8, 8],
  ] as const
  const one = { ...settings, steps: 2 }
  const x = planes(...sides)
  const step = { ...one, width: 28, window: 16, windowOverlap: 0.5 }
  const merged = blend(4, sides, window)
  const corners = grid(sides, window, { overlap: 0.5, unit: 2, wraps: [false, false] })
  assert.deepEqual(
    corners.map(([, left]) => left),
    [0, 2, 6],
  )
  for (const corner of corners) {
    const alone = await made({ ...one, latents: beginningAt(cut(x, sides, window, corner), window) })
    merged.add(alone.latents, corner)
  }
  const expected = merged.result()
  for (const batch of [1, 2, 8]) {
    const large = await made({ ...step, batch, latents: beginningAt(x, sides) })
    assert.ok(difference(large.latents, expected) < 1e-4)
  }
})

test('a window sees its part of what is told beside the latents', async () => {
  const config = tinyConfig({ text: false })
  const { use_spatial_transformer: _, ...unet } = config.unet_config!
  const told = modelConfig.parse({
    ...config,
    unet_config: { ...unet, in_channels: 5 },
    conditioning: { depth: {} },
  })
  await using from = await load(tinyCheckpoint(told), { threads: 1 })
  // Depths are told by how they lie between the nearest and the farthest: of both halves the same.
  const depths = (...across: number[]): Image => ({
    data: Uint8Array.from({ length: 16 * across.length * 3 }, (_, i) => across[Math.floor(i / 3) % across.length]!),
    width: across.length,
    height: 16,
    channels: 3,
  })
  const rising = Array.from({ length: 16 }, (_, i) => 17 * i)
  const falling = rising.toReversed()
  const x = planes(8, 16)
  const paint = (depth: Image, sides: Sides, options: GenerateOptions, x: Float32Array) =>
    made({ depth, ...options, latents: beginningAt(x, sides) }, { from, prompt: '' })
  const large = await paint(depths(...rising, ...falling), [8, 16], { window: 16, windowOverlap: 0 }, x)
  for (const [left, half] of [
    [0, rising],
    [8, falling],
  ] as const) {
    const part = cut(x, [8, 16], [8, 8], [0, left])
    const alone = await paint(depths(...half), [8, 8], {}, part)
    assert.ok(difference(cut(large.latents, [8, 16], [8, 8], [0, left]), alone.latents) < 1e-4)
  }
})

test('a window sees its part of the hints of ControlNets', async () => {
  const controls = [1, -0.5].map(by => ({ file: controlNetFile(tinyConfig().unet_config!, 2, () => by) }))
  await using from = await load(tinyCheckpoint(), { threads: 1, controls })
  const striped = (width: number, left: number): Image => ({
    data: Uint8Array.from({ length: 16 * width * 3 }, (_, i) => 8 * (left + (Math.floor(i / 3) % width))),
    ...{ width, height: 16, channels: 3 },
  })
  const hints = (width: number, left = 0) => [striped(width, left), striped(width, left + 3)]
  const x = planes(8, 16)
  const way = { controlMode: ['control'], controlFrom: [0, 0.3] } as const
  const paint = (hint: Image[], sides: Sides, x: Float32Array, more: GenerateOptions = {}) =>
    made({ hint, ...way, ...more, latents: beginningAt(x, sides) } as GenerateOptions, { from })
  const large = await paint(hints(32), [8, 16], x, { window: 16, windowOverlap: 0 })
  for (const left of [0, 8]) {
    const part = cut(x, [8, 16], [8, 8], [0, left])
    const alone = await paint(hints(16, 2 * left), [8, 8], part)
    assert.ok(difference(cut(large.latents, [8, 16], [8, 8], [0, left]), alone.latents) < 1e-4)
  }
})

test('a picture to paint in is encoded by tiles as well, nearer to all at once than another one is', async () => {
  const config = tinyConfig({ text: false })
  const { use_spatial_transformer: _, ...unet } = config.unet_config!
  const conditioning = { mask: { form: 'stable-diffusion' } }
  const told = modelConfig.parse({ ...config, unet_config: { ...unet, in_channels: 9 }, conditioning })
  await using from = await load(tinyCheckpoint(told), { threads: 1 })
  const [width, height] = [32, 16]
  const filled = (level: (x: number, y: number) => number): Image => ({
    ...{ width, height, channels: 3 },
    data: Uint8Array.from({ length: width * height * 3 }, (_, i) =>
      level(Math.floor(i / 3) % width, Math.floor(i / 3 / width)),
    ),
  })
  const mask = filled(x => (x < 16 ? 0 : 255))
  const paint = async (image: Image, options: GenerateOptions = {}) =>
    (await made({ image, mask, strength: undefined, ...options }, { from, prompt: '' })).latents
  const [one, other] = [filled((x, y) => 8 * x + y), filled((x, y) => 255 - 4 * x - 8 * y)]
  const whole = await paint(one)
  const near = difference(whole, await paint(one, { tile: 16 }))
  const far = difference(whole, await paint(other))
  assert.ok(near > 1e-6 && near < far / 2, `${near} beside ${far}`)
})

test('windows are those of the second go too, and sides that the networks cannot have are refused', async () => {
  const { image } = await made({ hires: 2, window: 16, tile: 16, strength: undefined, seed: 1 })
  assert.deepEqual([image.width, image.height], [32, 32])
  assert.deepEqual(settingsOf(image.parameters).window, 16)
  const latents = await model.encode(image, { tile: 16 })
  assert.deepEqual(latents.shape, [4, 16, 16])
  const again = await model.decode(latents, { tile: 16 })
  assert.deepEqual([again.width, again.height], [32, 32])
  await assert.rejects(model.decode(latents, { tile: 3 }), /the tile is 3 pixels/)
  assert.throws(() => model.generate('', { window: 10 }), /the window is 10 pixels; .*multiple of 4, such as 12/)
  assert.throws(() => model.generate('', { tile: 2 }), /the tile is 2 pixels/)
})
