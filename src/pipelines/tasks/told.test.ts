import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Image } from '../../image/index.js'
import { tinyCheckpoint, tinyConfig } from '../../testing/tiny-model.js'
import { drawing } from '../../testing/values.js'
import type { Generation } from '../generation/events.js'
import { load } from '../loading/load.js'
import { modelConfig } from '../model-config.js'
import { grey } from './canvas.js'
import { depthToImage } from './depth-to-image.js'
import { inpaint } from './inpaint.js'
import { upscale } from './upscale.js'

/** The tiny model, told of something beside its latents. */
function told(channels: number, conditioning: object): Uint8Array {
  const config = tinyConfig({ text: false })
  const { use_spatial_transformer: _, ...unet } = config.unet_config!
  return tinyCheckpoint(
    modelConfig.parse({ ...config, unet_config: { ...unet, in_channels: 4 + channels }, conditioning }),
  )
}

const picture = (width: number, height: number, seed = 1): Image => ({
  data: Uint8Array.from(drawing(seed).normal(width * height * 3).data, value =>
    Math.max(0, Math.min(255, 128 + 40 * value)),
  ),
  width,
  height,
  channels: 3,
})

const distance = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.hypot(...Array.from(a, (value, i) => value - b[i]!))

async function latents(generation: Generation): Promise<Float32Array> {
  for await (const event of generation) if (event.type === 'image') return event.latents.data
  throw new Error('no picture')
}

const quick = { seed: 3, steps: 4 }

test('a model of masks is told of picture and mask at a size that fits; a strength starts it from the picture too', async () => {
  await using model = await load(told(5, { mask: { form: 'stable-diffusion' } }), { threads: 1 })
  const image = picture(18, 19)
  const mask = grey(
    Uint8Array.from({ length: 18 * 19 }, (_, i) => (i % 18 < 9 ? 0 : 255)),
    18,
    19,
  )
  const painted = await inpaint(model, '', { image, mask, ...quick }).image()
  assert.deepEqual([painted.width, painted.height], [16, 16])
  const fitted = { image: picture(16, 16), mask: grey(new Uint8Array(256).fill(255), 16, 16) }
  const start = await model.encode(fitted.image)
  const whole = distance(await latents(inpaint(model, '', { ...fitted, ...quick })), start.data)
  const part = distance(await latents(inpaint(model, '', { ...fitted, ...quick, strength: 0.25 })), start.data)
  assert.ok(part < whole, `${part} and ${whole}`)
})

test('a model of depth starts from noise, or from a picture as well', async () => {
  await using model = await load(told(1, { depth: {} }), { threads: 1 })
  const depth = grey(
    Uint8Array.from({ length: 256 }, (_, i) => i),
    16,
    16,
  )
  const image = picture(16, 16)
  const start = await model.encode(image)
  const whole = distance(await latents(depthToImage(model, '', { depth, ...quick })), start.data)
  const part = distance(await latents(depthToImage(model, '', { depth, image, strength: 0.25, ...quick })), start.data)
  assert.ok(part < whole, `${part} and ${whole}`)
})

test('a model of super-resolution makes a picture larger by its own factor, from noise or from the enlarged picture', async () => {
  await using model = await load(told(3, { low_resolution: { factor: 4 } }), { threads: 1 })
  const image = picture(4, 4)
  const larger = await upscale(model, '', { image, ...quick }).image()
  assert.deepEqual([larger.width, larger.height], [16, 16])
  const near = await upscale(model, '', { image, strength: 0.25, ...quick }).image()
  assert.notDeepEqual(near.data, larger.data)
})
