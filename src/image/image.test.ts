import assert from 'node:assert/strict'
import test from 'node:test'
import { crop, flatten, flipHorizontal, type Image } from './image.js'
import { fromBytes, imageToPixels, pixelsToImage, toBytes } from './pixels.js'

const image: Image = { data: Uint8Array.from({ length: 18 }, (_, i) => i), width: 3, height: 2, channels: 3 }

test('crop and flip move whole pixels', () => {
  assert.deepEqual([...crop(image, 1, 1, 2, 1).data], [12, 13, 14, 15, 16, 17])
  assert.deepEqual([...flipHorizontal(image).data.subarray(0, 9)], [6, 7, 8, 3, 4, 5, 0, 1, 2])
  assert.throws(() => crop(image, 2, 0, 2, 2), RangeError)
})

test('flatten lays transparent pixels over the background', () => {
  const clear: Image = {
    data: Uint8Array.of(10, 20, 30, 0, 10, 20, 30, 255, 0, 0, 0, 51),
    width: 3,
    height: 1,
    channels: 4,
  }
  assert.deepEqual([...flatten(clear).data], [255, 255, 255, 10, 20, 30, 204, 204, 204])
  assert.deepEqual([...flatten(clear, [0, 0, 0]).data], [0, 0, 0, 10, 20, 30, 0, 0, 0])
})

test('every byte comes back from [-1, 1] by rounding', () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
  assert.deepEqual(toBytes(fromBytes(bytes), 'round'), bytes)
})

test('CompVis cuts, diffusers rounds half to even; beyond the range is clamped and NaN is black', () => {
  const values = Float32Array.of(-3, -1, 2 * (0.5 / 255) - 1, 2 * (1.5 / 255) - 1, 0.999, 1, 7, Number.NaN)
  assert.deepEqual([...toBytes(values, 'truncate')], [0, 0, 0, 1, 254, 255, 255, 0])
  assert.deepEqual([...toBytes(Float32Array.of(0, 0.999), 'round')], [128, 255])
})

test('pixels are planes and images are interleaved', () => {
  const pixels = imageToPixels(image)
  assert.equal(pixels[1], Math.fround(3 / 127.5 - 1))
  assert.equal(pixels[6], Math.fround(1 / 127.5 - 1))
  const two = new Float32Array(36)
  two.set(pixels, 18)
  assert.deepEqual(pixelsToImage(two, 3, 2, { index: 1 }), image)
  assert.throws(() => pixelsToImage(two, 3, 2, { index: 2 }), RangeError)
})
