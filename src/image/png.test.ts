import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { FileError } from '../platform/errors.js'
import { describePng } from './describe-png.js'
import type { Image } from './image.js'
import { readChunks, writeChunks } from './png-chunks.js'
import { decodePng } from './png-decode.js'
import { encodePng } from './png-encode.js'

const { default: sharp } = await import('sharp').catch(() => ({ default: undefined }))
const needsSharp = sharp ? false : 'the package sharp is not installed'

const images = fc
  .record({ width: fc.integer({ min: 1, max: 9 }), height: fc.integer({ min: 1, max: 9 }), alpha: fc.boolean() })
  .chain(({ width, height, alpha }) => {
    const channels = alpha ? (4 as const) : (3 as const)
    const length = width * height * channels
    return fc
      .uint8Array({ minLength: length, maxLength: length })
      .map((data): Image => ({ data, width, height, channels }))
  })

/** A picture with slopes and edges, so that every filter gets its turn. */
function drawn(width: number, height: number, channels: 3 | 4): Image {
  const data = new Uint8Array(width * height * channels)
  for (let i = 0; i < data.length; i++) {
    const x = Math.floor(i / channels) % width
    const y = Math.floor(i / channels / width)
    data[i] = y < height / 2 ? x * 7 + (i % channels) * 40 : (x * y) % 5 === 0 ? 255 : y * 3
  }
  return { data, width, height, channels }
}

test('a picture comes back from its PNG, with its texts', async () => {
  const texts = fc.string({ unit: fc.constantFrom(...'a,\n"é\x85ÿ猫😀 ') })
  await fc.assert(
    fc.asyncProperty(images, texts, async (image, text) => {
      const bytes = await encodePng(image, { text: { parameters: text, other: 'é' } })
      assert.deepEqual(await decodePng(bytes), image)
      const described = await describePng(bytes)
      assert.deepEqual(described.text, { parameters: text, other: 'é' })
      assert.equal(described.width, image.width)
    }),
  )
})

test('Latin-1 text goes into tEXt and other text into iTXt, as Pillow writes it', async () => {
  const chunkTypes = async (text: string) => {
    const bytes = await encodePng(drawn(1, 1, 3), { text: { parameters: text } })
    return [
      ...Buffer.from(bytes)
        .toString('latin1')
        .matchAll(/[tiz][ETX]{2}t/g),
    ].map(match => match[0])
  }
  assert.deepEqual(await chunkTypes('größe'), ['tEXt'])
  assert.deepEqual(await chunkTypes('红色的心'), ['iTXt'])
})

test("A1111's settings are described", async () => {
  const text = 'red heart, 心\nNegative prompt: grey\nSteps: 20, Sampler: DDIM, CFG scale: 3, Seed: 7, Size: 128x128'
  const { parameters } = await describePng(await encodePng(drawn(2, 2, 3), { text: { parameters: text } }))
  assert.equal(parameters?.prompt, 'red heart, 心')
  assert.equal(parameters?.seed, 7)
})

test('sharp reads what is written', { skip: needsSharp }, async () => {
  for (const channels of [3, 4] as const) {
    const image = drawn(37, 29, channels)
    const raw = await sharp!(await encodePng(image))
      .raw()
      .toBuffer()
    assert.deepEqual(new Uint8Array(raw), image.data)
  }
})

test('what sharp writes is read: palettes, grey, alpha, 16 bits, interlaced', { skip: needsSharp }, async () => {
  const colour = sharp!(drawn(37, 29, 3).data, { raw: { width: 37, height: 29, channels: 3 } })
  const alpha = sharp!(drawn(37, 29, 4).data, { raw: { width: 37, height: 29, channels: 4 } })
  for (const progressive of [false, true]) {
    const files = {
      rgb: colour.clone().png({ progressive }),
      palette: colour.clone().png({ progressive, palette: true, colours: 200, dither: 0 }),
      palette4: colour.clone().png({ progressive, palette: true, colours: 14, dither: 0 }),
      palette2: colour.clone().png({ progressive, palette: true, colours: 4, dither: 0 }),
      palette1: colour.clone().png({ progressive, palette: true, colours: 2, dither: 0 }),
      alpha: alpha.clone().png({ progressive }),
      alphaPalette: alpha.clone().png({ progressive, palette: true }),
      grey: colour.clone().toColourspace('b-w').png({ progressive }),
      rgb16: colour.clone().toColourspace('rgb16').png({ progressive }),
      grey16: colour.clone().toColourspace('grey16').png({ progressive }),
    }
    for (const [name, file] of Object.entries(files)) {
      const bytes = await file.toBuffer()
      const image = await decodePng(bytes)
      const wanted = sharp!(bytes).toColourspace('srgb')
      const { data, info } = await (image.channels === 4 ? wanted.ensureAlpha() : wanted)
        .raw()
        .toBuffer({ resolveWithObject: true })
      assert.equal(info.channels, image.channels, name)
      assert.deepEqual(image.data, new Uint8Array(data), `${name}, progressive ${progressive}`)
    }
  }
})

test('damaged, cut off and oversized files are refused by name', async () => {
  const whole = await encodePng(drawn(20, 20, 3), { text: { parameters: '心' } })
  const refused = (bytes: Uint8Array, message: RegExp) =>
    assert.rejects(decodePng(bytes, { file: 'x.png' }), error => {
      assert.ok(error instanceof FileError, String(error))
      assert.match(error.message, message)
      assert.match(error.message, /^x\.png/)
      return true
    })
  for (let length = 0; length < whole.length; length++) {
    await refused(whole.subarray(0, length), /cut off|no PNG picture/)
  }
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: whole.length - 1 }), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const damaged = whole.slice()
      damaged[at]! ^= change
      await refused(damaged, /./)
    }),
  )
  // IHDR says 20x20; the data of a larger picture are more than that needs.
  const small = await encodePng(drawn(20, 20, 3))
  const large = await encodePng(drawn(200, 200, 3))
  await refused(Buffer.concat([small.subarray(0, 33), large.subarray(33)]), /longer than its size needs/)
  await refused(Buffer.concat([large.subarray(0, 33), small.subarray(33)]), /end after 1220 of 120200/)
  await assert.rejects(decodePng(large, { maxPixels: 39_999 }), /200x200 pixels; at most 39999/)
})

test('maps of classes: the numbers of a palette or of few bits, not their colours', { skip: needsSharp }, async () => {
  const size = { width: 8, height: 4 }
  const numbers = Uint8Array.from({ length: 32 }, (_, i) => (i * 3) % 4)
  const palette = [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [9, 9, 9],
  ] as const
  const rgb = Array.from(numbers, n => palette[n]!).flat()
  const file = await sharp!(Uint8Array.from(rgb), { raw: { ...size, channels: 3 } })
    .png({ palette: true, colours: 4, dither: 0 })
    .toBuffer()
  const colours = await decodePng(file)
  assert.deepEqual([...colours.data], rgb)
  const { data, channels } = await decodePng(file, { numbers: true })
  assert.equal(channels, 3)
  // The encoder numbers its colours as it likes: equal numbers mean equal colours.
  const meant = new Map<number, string>()
  for (let i = 0; i < 32; i++) {
    assert.equal(data[3 * i], data[3 * i + 1])
    const colour = rgb.slice(3 * i, 3 * i + 3).join()
    assert.equal(meant.get(data[3 * i]!) ?? colour, colour)
    meant.set(data[3 * i]!, colour)
  }
  assert.deepEqual([...meant.keys()].sort(), [0, 1, 2, 3])
})

test('a chunk without which the picture cannot be shown is refused, another is passed over', async () => {
  const picture = { width: 1, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3) } as const
  const chunks = [...readChunks(await encodePng(picture), 'x')].filter(({ type }) => type !== 'IEND')
  const withChunk = (type: string) => writeChunks([chunks[0]!, { type, data: new Uint8Array(3) }, ...chunks.slice(1)])
  assert.deepEqual((await decodePng(withChunk('vpAg'))).data, picture.data)
  for (const type of ['VPAg', 'IDAx', 'x\x9cc`'])
    await assert.rejects(decodePng(withChunk(type), { file: 'x.png' }), /x\.png \(byte 33\): holds a PNG chunk/)
})
