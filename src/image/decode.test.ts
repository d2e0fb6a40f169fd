import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { FileError, LatentkitError } from '../platform/errors.js'
import { decodeImage } from './decode.js'
import { encodePng } from './png-encode.js'
import { readSize } from './size.js'

const { default: sharp } = await import('sharp').catch(() => ({ default: undefined }))
const needsSharp = sharp ? false : 'the package sharp is not installed'
const kinds = ['png', 'jpeg', 'webp', 'gif', 'avif'] as const

function picture(alpha: boolean) {
  const channels = alpha ? 4 : 3
  const data = Uint8Array.from({ length: 40 * 24 * channels }, (_, i) => (i % channels === 3 ? 255 : (i / 9) % 256))
  return sharp!(data, { raw: { width: 40, height: 24, channels } })
}

test('all kinds are decoded and tell their sizes', { skip: needsSharp }, async () => {
  for (const kind of kinds) {
    const bytes = await picture(false).toFormat(kind).toBuffer()
    assert.deepEqual(readSize(bytes), { width: 40, height: 24 }, kind)
    const { width, height, channels } = await decodeImage(bytes, { file: kind })
    assert.deepEqual([width, height, channels], [40, 24, 3])
  }
  const forms = [
    picture(false).webp({ lossless: true }),
    picture(true).webp(),
    picture(false).jpeg({ progressive: true }),
  ]
  for (const form of forms) assert.deepEqual(readSize(await form.toBuffer()), { width: 40, height: 24 })
})

test('alpha is kept only where something is transparent', { skip: needsSharp }, async () => {
  assert.equal((await decodeImage(await picture(true).png().toBuffer())).channels, 3)
  const clear = sharp!({ create: { width: 2, height: 2, channels: 4, background: '#12345680' } })
  assert.equal((await decodeImage(await clear.clone().webp().toBuffer())).channels, 4)
  assert.equal((await decodeImage(await clear.png().toBuffer())).channels, 4)
})

test('a picture is turned as its EXIF data say', { skip: needsSharp }, async () => {
  const bytes = await picture(false).withMetadata({ orientation: 6 }).jpeg().toBuffer()
  const { width, height } = await decodeImage(bytes)
  assert.deepEqual([width, height], [24, 40])
})

test('cut off, oversized and unknown files are refused by name', { skip: needsSharp }, async () => {
  for (const kind of kinds) {
    const bytes = await picture(false).toFormat(kind).toBuffer()
    const cut = bytes.subarray(0, Math.floor(bytes.length * 0.6))
    await assert.rejects(decodeImage(cut, { file: `cut.${kind}` }), (error: Error) => {
      return error instanceof FileError && error.message.startsWith(`cut.${kind}`)
    })
    await assert.rejects(decodeImage(bytes, { file: `big.${kind}`, maxPixels: 959 }), FileError)
  }
  const drawing = new TextEncoder().encode(
    '<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
  )
  for (const bytes of [drawing, new Uint8Array(0), new TextEncoder().encode('<html>not found</html>')]) {
    await assert.rejects(decodeImage(bytes, { file: 'a.png' }), /a\.png: .*PNG, JPEG, WebP, GIF and AVIF are read/)
  }
})

test('whatever the bytes, decoding gives a picture or one of our errors, and sizes are read without throwing', async () => {
  const png = await encodePng({ data: new Uint8Array(75).fill(7), width: 5, height: 5, channels: 3 })
  const begins = [
    [],
    [...png.subarray(0, 40)],
    [0xff, 0xd8, 0xff],
    [...Buffer.from('RIFF....WEBPVP8X')],
    [...Buffer.from('GIF89a')],
  ]
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...begins), fc.uint8Array({ maxLength: 80 }), async (begin, rest) => {
      const bytes = Uint8Array.of(...begin, ...rest)
      readSize(bytes)
      await decodeImage(bytes).catch(error => assert.ok(error instanceof LatentkitError, String(error)))
    }),
  )
})
