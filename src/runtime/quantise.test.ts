import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { blockSize, quantise } from './quantise.js'

const weights = fc
  .array(fc.array(fc.float({ min: -2, max: 2, noNaN: true }), { minLength: blockSize, maxLength: blockSize }), {
    minLength: 1,
    maxLength: 3,
  })
  .map(blocks => Float32Array.from(blocks.flat()))

/** What the numbers stand for. */
function restored(values: Float32Array, form: 'i8' | 'i4'): Float32Array {
  const { numbers, scales } = quantise(values, form)
  const signed = (bits: number, byte: number) => (byte << (32 - bits)) >> (32 - bits)
  const number = (i: number) => (form === 'i8' ? signed(8, numbers[i]!) : signed(4, numbers[i >> 1]! >> (4 * (i & 1))))
  return values.map((_, i) => number(i) * scales[Math.floor(i / blockSize)]!)
}

test('a weight is off by half a step of its block at most, but for the step that 4 bits lack above', () => {
  fc.assert(
    fc.property(weights, fc.constantFrom('i8', 'i4'), (values, form) => {
      const [steps, most] = form === 'i8' ? [127, 0.5] : [8, 1]
      const found = restored(values, form)
      values.forEach((value, i) => {
        const start = i - (i % blockSize)
        const largest = Math.max(...values.subarray(start, start + blockSize).map(Math.abs))
        assert.ok(Math.abs(found[i]! - value) <= (largest / steps) * most * 1.001, `${value} became ${found[i]}`)
      })
    }),
    { seed: 3 },
  )
})

test('what lies on the grid stays as it is', () => {
  fc.assert(
    fc.property(weights, fc.constantFrom('i8', 'i4'), (values, form) => {
      const once = restored(values, form)
      const twice = restored(once, form)
      assert.ok(twice.every((value, i) => Math.abs(value - once[i]!) <= 1e-6 * Math.abs(once[i]!)))
    }),
    { seed: 5 },
  )
})
