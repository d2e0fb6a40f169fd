import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guide, guideByTwo, rescaleGuided } from './classifier-free.js'
import { keepKnown } from './known-part.js'

const [a, b, c] = [Float32Array.of(1, 2, 3, 5), Float32Array.of(0, 1, -1, 2), Float32Array.of(4, -2, 1, 1)]

test('a scale of 1 is the conditional prediction, of 0 the unconditional one', () => {
  assert.deepEqual(guide(a, b, 1), a)
  assert.deepEqual(guide(a, b, 0), b)
  const given = { unconditional: a, image: b, both: c }
  assert.deepEqual(guideByTwo({ ...given, imageScale: 1, textScale: 1 }), c)
  assert.deepEqual(guideByTwo({ ...given, imageScale: 1, textScale: 0 }), b)
  assert.deepEqual(guideByTwo({ ...given, imageScale: 0, textScale: 0 }), a)
})

test('rescaling takes each image to the deviation of its condition, or leaves it', () => {
  const doubled = a.map(v => 2 * v)
  assert.deepEqual(rescaleGuided(doubled, a, { phi: 1, images: 1 }), a)
  assert.deepEqual(rescaleGuided(doubled, a, { phi: 0, images: 1 }), doubled)
  const two = Float32Array.of(...doubled, ...a.map(v => 3 * v))
  assert.deepEqual(rescaleGuided(two, Float32Array.of(...a, ...a), { phi: 1, images: 2 }), Float32Array.of(...a, ...a))
})

test('known parts are the noised original, for a mask of positions as of elements', () => {
  const noise = () => Float32Array.of(1, 1, 1, 1)
  const level = { alpha: 0.5, sigma: 2 }
  const shape = [1, 2, 1, 2] as const
  const keep = (mask: number[]) => keepKnown({ x0: a, mask: Float32Array.from(mask), shape, noise })(b, level)
  assert.deepEqual([...keep([1, 0])], [2.5, 1, 3.5, 2])
  assert.deepEqual([...keep([0, 0, 1, 0])], [0, 1, 3.5, 2])
  assert.throws(() => keep([1, 0, 1]), /the mask has 3 numbers/)
})
