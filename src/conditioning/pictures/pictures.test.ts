import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Image, interpolate } from '../../image/index.js'
import { torchGenerator } from '../../random/index.js'
import { evaluate } from '../../tensor/evaluate.js'
import { trace } from '../../tensor/program.js'
import { f32, i64 } from '../../tensor/tensor.js'
import { drawing } from '../../testing/values.js'
import type { TrainingRecord } from '../contract.js'
import { degrade } from './degrade.js'
import { depth } from './depth.js'
import { jpegPixels } from './jpeg.js'
import { lowResolution } from './low-resolution.js'
import { mask } from './mask.js'
import { randomMask } from './random-masks.js'
import { semanticMap } from './semantic-map.js'

const { default: sharp } = await import('sharp').catch(() => ({ default: undefined }))
const needsSharp = sharp ? false : 'the package sharp is not installed'

const texts = { prompt: '', negativePrompt: '' }
const place = { width: 16, height: 8, latents: [3, 4, 8] } as const
const plain = (width: number, height: number, level: (i: number) => number): Image => ({
  data: Uint8Array.from({ length: 3 * width * height }, (_, i) => level(Math.floor(i / 3))),
  width,
  height,
  channels: 3,
})
/** Something like a photograph: smooth, with an edge. [3, size, size] in [0, 1]. */
const scene = (size: number) =>
  Float32Array.from({ length: 3 * size * size }, (_, i) => {
    const [x, y, c] = [i % size, Math.floor(i / size) % size, Math.floor(i / size ** 2)]
    return x + y > size ? 0.2 + 0.1 * c : 0.5 + 0.4 * Math.sin((x + 2 * c) / 9) * Math.cos(y / 7)
  })

test('classes become the channels that the original makes of a plane for each class', () => {
  const config = semanticMap.config.parse({ in_channels: 5, out_channels: 2, n_stages: 2 })
  const at = { width: 16, height: 8, latents: [3, 2, 4] } as const
  const { outputs } = trace({ map: i64(1, 8, 16) }, (scope, inputs) => ({
    ...semanticMap.embed(scope, config, inputs, { place: at, encode: x => x }),
  }))
  const labels = Float64Array.from({ length: 128 }, (_, i) => (i * 7 + (i >> 4)) % 5)
  const weight = drawing(3).normal(2, 5, 1, 1)
  const inputs = { map: { shape: [1, 8, 16], data: labels }, 'channel_mapper.weight': weight }
  const [found] = evaluate([outputs.concat!], inputs)
  let planes: Float32Array = Float32Array.from({ length: 5 * 128 }, (_, i) =>
    labels[i % 128] === Math.floor(i / 128) ? 1 : 0,
  )
  for (const [width, height] of [
    [16, 8],
    [8, 4],
  ] as const)
    planes = interpolate(planes, { width, height }, { scaleFactor: 0.5 }, { mode: 'bilinear' })
  assert.deepEqual(found!.shape, [1, 2, 2, 4])
  for (let i = 0; i < 16; i++) {
    const wanted = [0, 1, 2, 3, 4].reduce(
      (sum, k) => sum + weight.data[Math.floor(i / 8) * 5 + k]! * planes[k * 8 + (i % 8)]!,
      0,
    )
    assert.ok(Math.abs(found!.data[i]! - wanted) < 1e-6)
  }
  const wrong = { place, encode: (x: never) => x }
  assert.throws(
    () => trace({ map: i64(1, 8, 16) }, (scope, given) => ({ ...semanticMap.embed(scope, config, given, wrong) })),
    /16x8 pixels halved 2 times \(n_stages\) do not give latents of 8x4/,
  )
})

test('maps of another size, in colour or with unknown classes are refused', async () => {
  const reader = semanticMap.reader(semanticMap.config.parse({ in_channels: 5, n_stages: 1 }))
  const ask = (map?: Image) => () => reader.ofRequest({ map, ...texts }, place)
  assert.deepEqual([...ask(plain(16, 8, i => i % 5))().positive.map.slice(0, 6)], [0, 1, 2, 3, 4, 0])
  assert.throws(ask(), /paints maps of classes; wanted is the picture "map"/)
  assert.throws(ask(plain(8, 8, () => 0)), /map has 8x8 pixels and the picture 16x8/)
  assert.throws(ask(plain(16, 8, i => i)), /map has class 127; the model knows 0 to 4/)
  const coloured = { ...plain(16, 8, () => 0), data: Uint8Array.from({ length: 384 }, (_, i) => i % 2) }
  assert.throws(ask(coloured), /map has colours, at \(0, 0 /)
  const record = { picture: { file: 'a.jpg' }, map: async () => undefined } as unknown as TrainingRecord
  await assert.rejects(async () => reader.ofRecord(record), /a\.jpg.*has no map of classes/)
})

test('masks are as in retouching: strokes or boxes, never nothing for long, the same for the same seed', () => {
  const size = { width: 64, height: 48, everything: 0 }
  const masks = Array.from({ length: 40 }, (_, seed) => randomMask(size, torchGenerator(seed)))
  const share = (m: Float32Array) => m.reduce((a, b) => a + b, 0) / m.length
  const mean = masks.reduce((sum, m) => sum + share(m), 0) / masks.length
  assert.ok(mean > 0.1 && mean < 0.7, `they cover ${mean}`)
  assert.ok(masks.every(m => m.every(value => value === 0 || value === 1)))
  assert.deepEqual(randomMask(size, torchGenerator(7)), masks[7])
  assert.equal(share(randomMask({ ...size, everything: 1 }, torchGenerator(0))), 1)
})

for (const form of ['ldm', 'stable-diffusion'] as const) {
  test(`the picture without its masked part, and the mask, as ${form} has them`, async () => {
    const config = mask.config.parse({ form })
    const hidden = form === 'ldm' ? -1 : 0
    const reader = mask.reader(config)
    const image = plain(16, 8, () => 255)
    const white = plain(16, 8, i => (i % 16 < 8 ? 255 : 0))
    const { positive, finish } = reader.ofRequest({ image, mask: white, ...texts }, place)
    assert.deepEqual([positive.masked[0], positive.masked[8]], [hidden, 1])
    const painted = finish(plain(16, 8, () => 9))
    assert.deepEqual([painted.data[0], painted.data[3 * 8]], [9, 255])

    const { outputs } = trace({ masked: f32(1, 3, 8, 16), mask: f32(1, 1, 8, 16) }, (at, inputs) => ({
      ...mask.embed(at, config, inputs, { place: { ...place, latents: [3, 8, 16] }, encode: x => x }),
    }))
    const given = {
      masked: { shape: [1, 3, 8, 16], data: Float64Array.from(positive.masked) },
      mask: { shape: [1, 1, 8, 16], data: Float64Array.from(positive.mask) },
    }
    const [concat] = evaluate([outputs.concat!], given)
    assert.deepEqual(concat!.shape, [1, 4, 8, 16])
    const at = (channel: number, x: number) => concat!.data[channel * 128 + x]
    if (form === 'ldm') assert.deepEqual([at(0, 0), at(0, 8), at(3, 0), at(3, 8)], [-1, 1, 1, -1])
    else assert.deepEqual([at(0, 0), at(0, 8), at(1, 0), at(1, 8)], [1, 0, 0, 1])

    const ask = (image: Image, mask: Image) => () => reader.ofRequest({ image, mask, ...texts }, place)
    assert.throws(
      ask(
        image,
        plain(8, 8, () => 255),
      ),
      /mask has 8x8 pixels and the picture 16x8/,
    )
    assert.throws(
      ask(
        image,
        plain(16, 8, () => 0),
      ),
      /mask is black/,
    )
  })
}

test('a JPEG file loses what is lost here', { skip: needsSharp }, async () => {
  const size = 64
  const pixels = scene(size)
  const bytes = Uint8Array.from({ length: 3 * size ** 2 }, (_, i) =>
    Math.round(pixels[(i % 3) * size ** 2 + Math.floor(i / 3)]! * 255),
  )
  for (const quality of [30, 80, 95]) {
    const file = await sharp!(bytes, { raw: { width: size, height: size, channels: 3 } })
      .jpeg({ quality, chromaSubsampling: '4:2:0' })
      .toBuffer()
    const decoded = await sharp!(file).raw().toBuffer()
    const ours = jpegPixels(pixels, size, size, quality)
    let [error, lost] = [0, 0]
    for (const [i, value] of decoded.entries()) {
      const mine = ours[(i % 3) * size ** 2 + Math.floor(i / 3)]! * 255
      error += (mine - value) ** 2
      lost += (bytes[i]! - value) ** 2
    }
    // Decoders smooth colours as they bring them to full size, which is all of the difference.
    assert.ok(error < 0.5 * lost + decoded.length, `quality ${quality}: ${error} of ${lost}`)
  }
})

test('spoilt pictures have the size that is wanted, differ by chance, and still show the picture', () => {
  const picture = { data: scene(64), width: 64, height: 64 }
  const clean = interpolate(picture.data, picture, { width: 16, height: 16 }, { mode: 'area' })
  const seen = new Set<number>()
  for (let seed = 0; seed < 12; seed++) {
    const { data, width, height } = degrade(picture, 4, torchGenerator(seed))
    assert.deepEqual([width, height, data.length], [16, 16, 768])
    assert.ok(data.every(value => value >= 0 && value <= 1))
    const error = data.reduce((sum, value, i) => sum + Math.abs(value - clean[i]!), 0) / data.length
    assert.ok(error < 0.15, `seed ${seed}: ${error}`)
    seen.add(error)
  }
  assert.equal(seen.size, 12)
  assert.deepEqual(degrade(picture, 4, torchGenerator(3)), degrade(picture, 4, torchGenerator(3)))
})

test('a small picture is noised as far as the model is told', async () => {
  const config = lowResolution.config.parse({ factor: 2, degradation: 'bicubic', noise_augmentation: 350 })
  assert.deepEqual(lowResolution.reach(config), { concat: 3, y: 1000 })
  const reader = lowResolution.reader(config)
  const record = (seed: number) =>
    ({
      random: torchGenerator(seed),
      pixels: async () => new Float32Array(3 * 128).fill(1),
    }) as unknown as TrainingRecord
  for (let seed = 0; seed < 5; seed++) {
    const { small, noiseTime } = (await reader.ofRecord(record(seed), place)) as Required<
      Awaited<ReturnType<typeof reader.ofRecord>>
    > & { noiseTime: number[] }
    const [time] = noiseTime
    assert.ok(time! >= 0 && time! < 350)
    // sqrt(abar) of a linear schedule of 1000 steps from 1e-4 to 2e-2 is 0.786 at 350 (linear in the root).
    const mean = small.reduce((sum, value) => sum + value, 0) / small.length
    assert.ok(mean > 0.6 && mean < 1.15, `time ${time}: ${mean}`)
  }
  const image = plain(8, 4, () => 255)
  const asked = reader.ofRequest({ image, ...texts }, place, torchGenerator(1)).positive
  assert.deepEqual((asked as { noiseTime: number[] }).noiseTime, [20])
  assert.deepEqual(lowResolution.size(config, { image, ...texts }), { width: 16, height: 8 })
  assert.throws(
    () => reader.ofRequest({ image: plain(4, 4, () => 0), ...texts }, place, torchGenerator(1)),
    /image has 4x4 pixels, which 2 times larger are not 16x8/,
  )
})

test('depth is brought to the size of the latents as torch does, and stretched to [-1, 1]', async () => {
  const levels = [10, 20, 30, 250, 40, 50, 60, 0, 7, 7, 7, 7, 200, 100, 50, 25]
  const reader = depth.reader()
  const picture = plain(4, 4, i => levels[i]!)
  const ask = (height: number, width: number) =>
    reader.ofRequest({ depth: picture, ...texts }, { width: 8, height: 8, latents: [4, height, width] }).positive.depth
  const near = (found: Float32Array, wanted: readonly number[]) =>
    assert.ok(
      wanted.every((value, i) => Math.abs(found[i]! - value) < 1e-5),
      String(found),
    )
  // By torch's interpolate(mode='bicubic') and the original's two lines after it.
  near(ask(2, 2), [-0.57813108, 1, 0.69334733, -1])
  near(
    ask(6, 3).slice(0, 9),
    [-0.84848237, -0.91514224, 1, -0.67983246, -0.6062746, 0.0038501, -0.62831789, -0.45231205, -1],
  )
  assert.deepEqual(
    [...reader.ofRequest({ depth: plain(4, 4, () => 9), ...texts }, place).positive.depth.slice(0, 2)],
    [-1, -1],
  )
  assert.throws(
    () => reader.ofRequest(texts, place),
    /paints what a picture of depth tells; wanted is the picture "depth"/,
  )
  const map = async () => Uint8Array.from({ length: 128 }, (_, i) => i)
  const { depth: learned } = await reader.ofRecord({ map } as unknown as TrainingRecord, place)
  assert.deepEqual([learned.length, Math.min(...learned), Math.max(...learned)], [32, -1, 1])
  const without = { picture: { file: 'a.jpg' }, map: async () => undefined } as unknown as TrainingRecord
  await assert.rejects(async () => reader.ofRecord(without, place), /a\.jpg.*has no picture of depth/)
})

test('a request says how much noise is put on a small picture', () => {
  const reader = lowResolution.reader(lowResolution.config.parse({ factor: 2, noise_augmentation: 30 }))
  const image = plain(4, 4, i => 10 * i)
  const at = { width: 8, height: 8, latents: [4, 4, 4] } as const
  const ask = (noiseLevel?: number) => reader.ofRequest({ image, noiseLevel, ...texts }, at, torchGenerator(1)).positive
  const time = (given: ReturnType<typeof ask>) => 'noiseTime' in given && given.noiseTime
  assert.deepEqual([time(ask()), time(ask(29))], [[20], [29]])
  assert.ok(ask(0).small.every((value, i) => Math.abs(value - (10 * (i % 16)) / 127.5 + 1) < 0.1))
  assert.throws(() => ask(30), /noiseLevel is 30; this model knows 0 to 29/)
  const plainReader = lowResolution.reader(lowResolution.config.parse({ factor: 2 }))
  assert.throws(
    () => plainReader.ofRequest({ image, noiseLevel: 3, ...texts }, at, torchGenerator(1)),
    /noiseLevel is for models that are told of noise/,
  )
})
