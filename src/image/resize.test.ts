import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import type { Image } from './image.js'
import { interpolate } from './interpolate.js'
import { resizeImage, resizePlanes } from './resize.js'

const filters = ['box', 'bilinear', 'hamming', 'bicubic', 'lanczos', 'nearest'] as const
const side = fc.integer({ min: 1, max: 12 })

function noise(width: number, height: number): Image {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 7919 + (i >> 3) * 104729) % 256)
  return { data, width, height, channels: 3 }
}

test('the same size leaves a picture as it is', () => {
  const image = noise(13, 7)
  for (const filter of filters) assert.deepEqual([...resizeImage(image, 13, 7, { filter }).data], [...image.data])
})

test('one colour stays that colour, whatever the sizes', () => {
  fc.assert(
    fc.property(side, side, side, side, fc.nat({ max: 255 }), (w, h, toW, toH, value) => {
      const image = { data: new Uint8Array(w * h * 3).fill(value), width: w, height: h, channels: 3 as const }
      for (const filter of filters) {
        assert.ok(resizeImage(image, toW, toH, { filter }).data.every(byte => byte === value))
      }
      const plane = new Float32Array(w * h).fill(value)
      for (const mode of ['nearest', 'nearest-exact', 'bilinear', 'bicubic', 'area'] as const) {
        const out = interpolate(plane, { width: w, height: h }, { width: toW, height: toH }, { mode })
        assert.ok(out.every(x => Math.abs(x - value) < 1e-4))
      }
    }),
  )
})

test('bytes are the rounded floats, to the rounding between the two passes', () => {
  const image = noise(17, 11)
  for (const filter of filters) {
    const bytes = resizeImage(image, 8, 23, { filter }).data
    for (const c of [0, 1, 2]) {
      const plane = Float32Array.from({ length: 17 * 11 }, (_, i) => image.data[3 * i + c]!)
      resizePlanes(plane, image, 8, 23, { filter }).forEach((value, i) => {
        const clamped = Math.min(255, Math.max(0, value))
        // Rounding after the first pass is carried, and clamping there can weigh more for filters that overshoot.
        const slack = filter === 'bicubic' || filter === 'lanczos' ? 12 : 1.01
        assert.ok(Math.abs(bytes[3 * i + c]! - clamped) <= slack, `${filter} ${i} ${bytes[3 * i + c]} ${value}`)
      })
    }
  }
})

test("torch's bicubic is not Pillow's at half scale: a is -0.75 and -0.5", () => {
  const impulse = Float32Array.from({ length: 16 }, (_, i) => (i === 8 ? 1 : 0))
  const from = { width: 16, height: 1 }
  const weights = (antialias: boolean) => [
    ...interpolate(impulse, from, { width: 32, height: 1 }, { mode: 'bicubic', antialias }).subarray(16, 20),
  ]
  // Cubic of Keys at distances 0.25, 0.25, 0.75 and 1.25.
  const close = (a: number[], b: number[]) => a.forEach((x, i) => void assert.ok(Math.abs(x - b[i]!) < 1e-4, `${a}`))
  close(
    weights(false),
    [0.8789, 0.8789, 0.2617, -0.1055].map((x, i) => (i === 3 ? -0.1055 : x)),
  )
  close(weights(true), [0.8672, 0.8672, 0.2266, -0.0703])
})

test('sizes and boxes that cannot be are refused', () => {
  const image = noise(4, 4)
  assert.throws(() => resizeImage(image, 0, 4), RangeError)
  assert.throws(() => resizeImage(image, 2.5, 4), RangeError)
  assert.throws(() => resizeImage(image, 4, 4, { box: [0, 0, 5, 4] }), RangeError)
  assert.throws(() => resizeImage(image, 4, 4, { box: [2, 0, 2, 4] }), RangeError)
  assert.throws(() => resizeImage({ ...image, data: new Uint8Array(64), channels: 4 }, 4, 4), TypeError)
  assert.throws(() => interpolate(new Float32Array(5), { width: 2, height: 2 }, { width: 1, height: 1 }), RangeError)
})
