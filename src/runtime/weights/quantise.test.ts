import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type BlockForm, widened } from '../../weights/blocks.js'
import { blockSize, quantise } from './quantise.js'

const form = (bits: 4 | 8): BlockForm => ({ bits, size: blockSize, offset: false })
const block = fc.array(fc.float({ min: -2, max: 2, noNaN: true }), { minLength: blockSize, maxLength: blockSize })
const weights = fc.array(block, { minLength: 1, maxLength: 3 }).map(blocks => Float32Array.from(blocks.flat()))

test('a weight of 8 bits is off by half a step of its block at most', () => {
  fc.assert(
    fc.property(weights, values => {
      const found = widened(quantise(values, form(8)))
      values.forEach((value, i) => {
        const start = i - (i % blockSize)
        const largest = Math.max(...values.subarray(start, start + blockSize).map(Math.abs))
        assert.ok(Math.abs(found[i]! - value) <= (largest / 127) * 0.5001, `${value} became ${found[i]}`)
      })
    }),
    { seed: 3 },
  )
})

test("no other scale of a block is nearer in 4 bits, and ggml's own is mostly farther", () => {
  const distance = (a: Float32Array, b: Float32Array) => a.reduce((sum, v, i) => sum + (v - b[i]!) ** 2, 0)
  fc.assert(
    fc.property(block, fc.double({ min: 0.5, max: 2, noNaN: true }), (drawn, factor) => {
      const values = Float32Array.from(drawn)
      const blocks = quantise(values, form(4))
      const largest = values.reduce((most, v) => (Math.abs(v) > Math.abs(most) ? v : most), 0)
      const best = distance(values, widened(blocks))
      for (const scale of [blocks.scales[0]! * factor, largest / -8]) {
        const other = distance(values, widened({ ...blocks, scales: Float32Array.of(scale) }))
        assert.ok(best <= other * (1 + 1e-5) + 1e-30, `${best} at ${blocks.scales[0]}, ${other} at ${scale}`)
      }
    }),
    { seed: 4 },
  )
})

test('what lies on the grid stays as it is', () => {
  fc.assert(
    fc.property(weights, fc.constantFrom(4, 8), (values, bits) => {
      const once = widened(quantise(values, form(bits)))
      const onGrid = bits === 8 ? once : ggmlGrid(values)
      const twice = widened(quantise(onGrid, form(bits)))
      assert.ok(twice.every((value, i) => Math.abs(value - onGrid[i]!) <= 1e-6 * Math.abs(onGrid[i]!)))
    }),
    { seed: 5 },
  )
})

/** What Q4_0 makes of weights. Source: ggml, quantize_row_q4_0_ref. */
function ggmlGrid(values: Float32Array): Float32Array {
  return values.map((value, i) => {
    const start = i - (i % blockSize)
    const largest = values.subarray(start, start + blockSize).reduce((m, v) => (Math.abs(v) > Math.abs(m) ? v : m), 0)
    const scale = largest / -8
    return scale === 0 ? 0 : Math.min(7, Math.floor(value / scale + 0.5)) * scale
  })
}
