import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Image } from '../../image/index.js'
import { tinyCheckpoint } from '../../testing/tiny-model.js'
import { drawing } from '../../testing/values.js'
import type { GenerateEvent } from '../generation/events.js'
import { load } from '../loading/load.js'
import type { Model } from '../model.js'
import { alphaMask, grey, marginMask, mirrored } from './canvas.js'
import { depthToImage } from './depth-to-image.js'
import { hires } from './hires.js'
import { imageToImage } from './image-to-image.js'
import { inpaint } from './inpaint.js'
import { interpolate } from './interpolate.js'
import { taskNames } from './names.js'
import { outpaint } from './outpaint.js'
import { panorama } from './panorama.js'
import { tasks } from './table.js'
import { upscale } from './upscale.js'
import { variations } from './variations.js'

let model: Model
before(async () => {
  model = await load(tinyCheckpoint(), { threads: 1 })
})
after(() => model.dispose())

/** A picture of chance, opaque or with its right part transparent. */
function picture(width: number, height: number, transparentFrom = Infinity): Image {
  const channels = transparentFrom < Infinity ? 4 : 3
  const numbers = drawing(1).normal(width * height * channels).data
  const data = Uint8Array.from(numbers, value => Math.max(0, Math.min(255, 128 + 40 * value)))
  if (channels === 4) for (let i = 0; i < width * height; i++) data[4 * i + 3] = i % width >= transparentFrom ? 0 : 255
  return { data, width, height, channels }
}

async function painted(events: AsyncIterable<GenerateEvent>) {
  const all: GenerateEvent[] = []
  for await (const event of events) all.push(event)
  return all.flatMap(event => (event.type === 'image' ? [event] : []))
}

const distance = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.hypot(...Array.from(a, (value, i) => value - b[i]!))
const quick = { seed: 3, steps: 4 }

test('every task has a name, a summary and examples of its command', () => {
  assert.deepEqual(Object.keys(tasks), [...taskNames])
  for (const [name, { summary, examples, shape }] of Object.entries(tasks)) {
    assert.ok(summary.length > 10 && Object.keys(shape).length > 0)
    for (const { line } of examples) assert.ok(line.startsWith(`latentkit ${name} `), line)
  }
})

test('image to image is a generation with the picture', async () => {
  const image = picture(16, 16)
  const [one] = await painted(imageToImage(model, 'red heart', { image, strength: 0.5, ...quick }))
  const [same] = await painted(model.generate('red heart', { image, strength: 0.5, ...quick }))
  assert.deepEqual(one!.image.data, same!.image.data)
  assert.throws(() => imageToImage(model, 'red heart', {} as never), /image: /)
  assert.throws(() => imageToImage(model, 'red heart', { image, stpes: 3 } as never), /stpes: unknown key/)
})

test('painting in keeps what a mask leaves black, or what is not transparent; without either it is refused', async () => {
  const image = picture(16, 16, 8)
  const [one] = await painted(inpaint(model, 'red heart', { image, ...quick }))
  for (const [i, value] of one!.image.data.entries()) {
    const [at, c] = [Math.floor(i / 3), i % 3]
    if (at % 16 < 8) assert.equal(value, image.data[4 * at + c])
  }
  const opaque = picture(20, 18)
  const mask = grey(new Uint8Array(20 * 18).fill(255), 20, 18)
  const [fitted] = await painted(inpaint(model, 'red heart', { image: opaque, mask, ...quick }))
  assert.deepEqual([fitted!.image.width, fitted!.image.height], [20, 16])
  assert.throws(
    () => inpaint(model, 'red heart', { image: opaque, ...quick }),
    /no mask, and no part of it is transparent/,
  )
  assert.throws(
    () => inpaint(model, '', { image: picture(16, 16), mask, ...quick }),
    /mask has 20x18 pixels and image 16x16/,
  )
})

test('a picture goes on beyond its sides by just as many pixels as asked for', async () => {
  const image = picture(16, 16)
  const [one] = await painted(outpaint(model, 'red heart', { image, left: 5, bottom: 3, overlap: 2, ...quick }))
  const { data, width, height } = one!.image
  assert.deepEqual([width, height, one!.image.channels], [21, 19, 3])
  // Beyond the overlap all is as it was.
  for (let y = 0; y < 14; y++)
    for (let x = 2; x < 16; x++)
      for (let c = 0; c < 3; c++) assert.equal(data[(y * width + x + 5) * 3 + c], image.data[(y * 16 + x) * 3 + c])
  assert.throws(() => outpaint(model, 'red heart', { image, ...quick }), /nothing to add/)
  const short = { ...image, width: 1e9 }
  assert.throws(
    () => outpaint(model, 'red heart', { image: short, sides: 8 }),
    /needs 48000000000 bytes; 768 were given/,
  )
})

test('margins are white, the picture black, and grey lies between; mirrors go on', () => {
  const image = picture(4, 2, 3)
  const margins = { left: 2, right: 0, top: 0, bottom: 1 }
  const mask = marginMask(image, margins, { overlap: 1, asked: margins })
  const levels = Array.from({ length: 18 }, (_, i) => mask.data[3 * i])
  assert.deepEqual(levels.slice(0, 6), [255, 255, 128, 0, 0, 255])
  assert.deepEqual(levels.slice(6, 12), [255, 255, 128, 128, 128, 255])
  assert.deepEqual(levels.slice(12), [255, 255, 255, 255, 255, 255])
  const canvas = mirrored(image, margins)
  const at = (x: number, y: number) => Array.from(canvas.data.subarray((y * 6 + x) * 4, (y * 6 + x) * 4 + 4))
  assert.deepEqual(at(0, 0), at(3, 0))
  assert.deepEqual(at(1, 0), at(2, 0))
  assert.deepEqual(at(4, 2), at(4, 1))
  assert.equal(alphaMask(picture(4, 4)), undefined)
  assert.equal(alphaMask(picture(4, 4, 4)), undefined)
})

test('a picture is made larger by the factor, near to itself', async () => {
  const [one] = await painted(
    upscale(model, 'red heart', { image: picture(8, 6), factor: 2, strength: 0.25, ...quick }),
  )
  assert.deepEqual([one!.image.width, one!.image.height], [16, 12])
  const [twice] = await painted(hires(model, 'red heart', { hires: 1.5, ...quick }))
  assert.deepEqual([twice!.image.width, twice!.image.height], [24, 24])
})

test('panoramas are four times as wide, by windows of the size of training or by convolution', async () => {
  const [wide] = await painted(panorama(model, 'red heart', quick))
  assert.deepEqual([wide!.image.width, wide!.image.height, wide!.settings.extra!.Window], [64, 16, '16'])
  const sides = { width: 24, seamless: 'x', ...quick } as const
  const [whole] = await painted(panorama(model, 'red heart', { by: 'convolution', ...sides }))
  const [same] = await painted(model.generate('red heart', sides))
  assert.deepEqual(whole!.image.data, same!.image.data)
})

test('variations are several, near to the seed or to the picture', async () => {
  const [own] = await painted(model.generate('red heart', quick))
  const near = await painted(variations(model, 'red heart', { ...quick, variationStrength: 0.05, count: 2 }))
  assert.equal(near.length, 2)
  const [other] = await painted(model.generate('red heart', { ...quick, seed: 99 }))
  for (const { latents } of near) {
    const far = distance(latents.data, own!.latents.data)
    assert.ok(far > 0 && far < distance(other!.latents.data, own!.latents.data))
  }
  const ofPicture = await painted(variations(model, 'red heart', { ...quick, image: picture(16, 16) }))
  assert.deepEqual(
    ofPicture.map(({ seed }) => seed),
    [3, 4, 5, 6],
  )
})

test('frames go from one end to the other, and say which they are', async () => {
  const way = { seed: 3, steps: 3, frames: 3, sampler: 'euler_ancestral' } as const
  const events: GenerateEvent[] = []
  for await (const event of interpolate(model, 'red heart', { ...way, toPrompt: 'blue heart', toSeed: 8 }))
    events.push(event)
  const [start] = events
  assert.ok(start?.type === 'start' && start.total === 9)
  assert.deepEqual(start.seeds, [3, 3, 3])
  const steps = events.flatMap(event => (event.type === 'step' ? [event.step] : []))
  assert.deepEqual(steps, [1, 2, 3, 4, 5, 6, 7, 8, 9])
  const frames = events.flatMap(event => (event.type === 'image' ? [event] : []))
  assert.deepEqual(
    frames.map(({ index }) => index),
    [0, 1, 2],
  )
  const ends = { steps: 3, sampler: 'euler_ancestral' } as const
  const [first, last] = [
    await painted(model.generate('red heart', { ...ends, seed: 3 })),
    await painted(model.generate('blue heart', { ...ends, seed: 8 })),
  ]
  assert.ok(distance(frames[0]!.latents.data, first[0]!.latents.data) < 1e-4)
  assert.ok(distance(frames[2]!.latents.data, last[0]!.latents.data) < 1e-3)
  const between = { ...way, image: picture(16, 16), toImage: picture(24, 24), strength: 0.34 }
  const pictures = await painted(interpolate(model, 'red heart', between))
  assert.deepEqual(
    pictures.map(({ image }) => image.width),
    [16, 16, 16],
  )
  const latents = { data: new Float32Array(256), shape: [4, 8, 8] } as const
  const toLatents = { data: new Float32Array(256).fill(1), shape: [4, 8, 8] } as const
  const own = await painted(interpolate(model, 'red heart', { ...way, latents, toLatents, strength: 0.34 }))
  assert.equal(own.length, 3)
  assert.notDeepEqual(own[0]!.image.data, own[2]!.image.data)
  assert.throws(() => interpolate(model, 'red heart', way), /the way has no end/)
  const both = { ...way, image: picture(16, 16), latents, toLatents }
  assert.throws(() => interpolate(model, 'red heart', both), /an end is a picture or latents/)
  assert.throws(() => interpolate(model, 'red heart', { ...way, image: picture(16, 16), toSeed: 1 }), /both ends/)
})

test('a model that was not trained with depth says so', () => {
  assert.throws(() => depthToImage(model, 'red heart', { depth: picture(16, 16) }), /"depth" is not for this model/)
})
