import assert from 'node:assert/strict'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import type { Image } from '../image/index.js'
import { torchGenerator } from '../random/index.js'
import {
  captionOf,
  cropAndFlip,
  type DrawState,
  drawByShape,
  drawPictures,
  fixedDraws,
  loadBatch,
  openFolder,
  pictureCache,
  resizeShorterSide,
  type TrainingBatch,
  trainingBatches,
  transformSchema,
} from './index.js'

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/data/${name}`, import.meta.url))
const emoji = await openFolder(fixture('emoji'))
const all = emoji.pictures.map((_, i) => i)
const transform = transformSchema.parse({ size: 16, resize: 24, crop: 'random', flip: true })
const viaJson = (state: DrawState) => JSON.parse(JSON.stringify(state)) as DrawState

async function take(count: number, batches: AsyncIterable<TrainingBatch>): Promise<TrainingBatch[]> {
  const taken: TrainingBatch[] = []
  for await (const batch of batches) if (taken.push(batch) === count) break
  return taken
}

test('an epoch has every picture once, in another order each time', () => {
  const draws = drawPictures([3, 5, 7, 9, 11, 13, 15], torchGenerator(1))
  const epochs = [0, 1, 2].map(() => draws.next(7).map(({ index }) => index))
  for (const epoch of epochs)
    assert.deepEqual(
      epoch.toSorted((a, b) => a - b),
      [3, 5, 7, 9, 11, 13, 15],
    )
  assert.notDeepEqual(epochs[0], epochs[1])
  assert.throws(() => drawPictures([], torchGenerator(1)), RangeError)
})

test('drawing goes on from its state at any place, whatever the batch sizes', () => {
  const counts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 12 }), counts, counts, (seed, pictures, before, after) => {
      const indices = Array.from({ length: pictures }, (_, i) => i)
      const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0)
      const whole = drawPictures(indices, torchGenerator(seed)).next(sum(before) + sum(after))
      const first = drawPictures(indices, torchGenerator(seed))
      const head = before.flatMap(count => first.next(count))
      const second = drawPictures(indices, viaJson(first.state()))
      const tail = after.flatMap(count => second.next(count))
      assert.deepEqual([...head, ...tail], whole)
    }),
  )
  const state = drawPictures([0, 1, 2], torchGenerator(0)).state()
  assert.throws(() => drawPictures([0, 1], state), /3 in epoch 0: there are 2 pictures/)
  assert.throws(() => drawPictures([0, 1, 2], { ...state, position: 4 }), RangeError)
})

test('draws sorted by shape are of one shape a call, lose none and go on from their state', () => {
  const cases = [
    fc.nat(),
    fc.integer({ min: 1, max: 20 }),
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 5 }),
  ] as const
  fc.assert(
    fc.property(...cases, (seed, pictures, shapes, count) => {
      const indices = Array.from({ length: pictures }, (_, i) => i)
      const shapeOf = (index: number) => String(index % shapes)
      const draws = drawByShape(drawPictures(indices, torchGenerator(seed)), shapeOf)
      const calls = Array.from({ length: 12 }, () => draws.next(count))
      for (const call of calls) {
        assert.equal(call.length, count)
        assert.equal(new Set(call.map(({ index }) => shapeOf(index))).size, 1)
      }
      const later = draws.state()
      const state = viaJson(later)
      const all = [...calls.flat(), ...state.pending!]
      assert.equal(all.length, state.epoch * pictures + state.position)
      for (const index of indices) {
        const times = all.filter(draw => draw.index === index).length
        assert.ok(times === state.epoch || times === state.epoch + 1)
      }
      const again = drawByShape(drawPictures(indices, state), shapeOf, state.pending)
      for (let i = 0; i < 5; i++) assert.deepEqual(again.next(count), draws.next(count))
      assert.deepEqual(viaJson(later), state, 'a state stays what it was')
    }),
  )
})

test('batches go on from the state of any of them, however many are read ahead', async () => {
  const start = () => drawPictures(all, torchGenerator(5))
  const whole = await take(7, trainingBatches(emoji, start(), { transform, batch: 5, prefetch: 4 }))
  const head = await take(3, trainingBatches(emoji, start(), { transform, batch: 5, prefetch: 0 }))
  const rest = drawPictures(all, viaJson(head.at(-1)!.state))
  const tail = await take(4, trainingBatches(emoji, rest, { transform, batch: 5, cache: pictureCache(0) }))
  assert.deepEqual([...head, ...tail], whole)
})

test('pixels are [batch, 3, size, size] in [-1, 1], and white paper is 1', async () => {
  const { pixels, captions } = await loadBatch(emoji, fixedDraws(all), { transform })
  assert.equal(pixels.length, 12 * 3 * 16 * 16)
  assert.ok(pixels.every(value => value >= -1 && value <= 1))
  assert.deepEqual(
    captions,
    emoji.pictures.map(picture => picture.captions[0]),
  )
  const full = await loadBatch(emoji, fixedDraws([0]), { transform: transformSchema.parse({ size: 128 }) })
  assert.equal(full.pixels[0], 1)
})

test('chance picks among the captions, evenly', () => {
  const one = { pictures: [{ file: 'a', size: 1, captions: ['a', 'b', 'c'] }] }
  const drawn = drawPictures([0], torchGenerator(3))
    .next(3000)
    .map(draw => captionOf(one, draw))
  for (const caption of 'abc') assert.ok(Math.abs(drawn.filter(x => x === caption).length - 1000) < 120)
  assert.equal(captionOf({ pictures: [{ file: 'a', size: 1, captions: [] }] }, fixedDraws([0])[0]!), '')
})

test('a damaged picture ends the batches with an error that names it', async () => {
  const broken = { ...emoji, pictures: [{ file: 'captions.jsonl', size: 1, captions: [] }] }
  const batches = trainingBatches(broken, drawPictures([0], torchGenerator(0)), { transform, batch: 2 })
  await assert.rejects(batches.next(), /captions\.jsonl: is no picture of a known kind/)
})

test('the cache keeps what fits and stays within its bytes', async () => {
  const cache = pictureCache(3 * 24 * 24 * 3)
  await take(6, trainingBatches(emoji, drawPictures(all, torchGenerator(0)), { transform, batch: 4, cache }))
  assert.equal(cache.bytes, 3 * 24 * 24 * 3)
  const kept: Image = { data: new Uint8Array(3), width: 1, height: 1, channels: 3 }
  const small = pictureCache(3)
  const made: string[] = []
  const make = (key: string) => async () => {
    made.push(key)
    return kept
  }
  for (const key of ['a', 'b', 'a', 'b']) await small.get(key, make(key))
  assert.deepEqual(made, ['a', 'b', 'b'])
})

test('crops lie inside at every chance, and flips mirror', () => {
  const sides = fc.integer({ min: 1, max: 40 })
  const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(
      sides,
      sides,
      fc.integer({ min: 1, max: 20 }),
      fc.nat({ max: 9 }),
      chance,
      chance,
      (width, height, size, more, x, y) => {
        const image: Image = { data: new Uint8Array(width * height * 3), width, height, channels: 3 }
        const options = transformSchema.parse({ size, resize: size + more, crop: 'random' })
        const resized = resizeShorterSide(image, options)
        assert.equal(Math.min(resized.width, resized.height), size + more)
        const out = cropAndFlip(resized, options, { x, y, flip: 0 })
        assert.deepEqual([out.width, out.height], [size, size])
      },
    ),
  )
  const image: Image = { data: Uint8Array.of(1, 1, 1, 2, 2, 2), width: 2, height: 1, channels: 3 }
  const tall: Image = { data: new Uint8Array([...image.data, ...image.data]), width: 2, height: 2, channels: 3 }
  const options = transformSchema.parse({ size: 2, flip: true })
  assert.deepEqual([...cropAndFlip(tall, options, { x: 0, y: 0, flip: 0.49 }).data.subarray(0, 6)], [2, 2, 2, 1, 1, 1])
  assert.deepEqual([...cropAndFlip(tall, options, { x: 0, y: 0, flip: 0.5 }).data.subarray(0, 6)], [1, 1, 1, 2, 2, 2])
  assert.throws(() => resizeShorterSide(tall, { ...options, resize: 1 }), RangeError)
})

test('photographs are read with sharp', async t => {
  if (!(await import('sharp').catch(() => undefined))) return t.skip('the package sharp is not installed')
  const photos = await openFolder(fixture('photos'))
  assert.deepEqual(photos.labels, ['shoes', 't-shirt'])
  const { pixels } = await loadBatch(photos, fixedDraws([0, 1, 2, 3]), { transform })
  assert.ok(pixels.some(value => value < 0))
})
