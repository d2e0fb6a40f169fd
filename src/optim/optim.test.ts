import assert from 'node:assert/strict'
import test from 'node:test'
import { cosineCycles, ema, linearCycles, warmupCosine } from './index.js'

test('a warm-up and a cosine', () => {
  const rate = warmupCosine({ warmup: 10, total: 110, min: 0.1 })
  assert.equal(rate(0), 1e-6)
  assert.ok(Math.abs(rate(5) - 0.5) < 1e-6)
  assert.equal(rate(10), 1)
  assert.ok(Math.abs(rate(60) - 0.55) < 1e-12)
  assert.ok(Math.abs(rate(110) - 0.1) < 1e-12)
  assert.equal(rate(1e6), 0.1)
})

test('cycles follow each other, and the last one holds', () => {
  const cycles = [
    { warmup: 2, length: 10, start: 0, max: 1, min: 0.5 },
    { warmup: 4, length: 20, start: 0.1, max: 0.5, min: 0.2 },
  ]
  for (const make of [cosineCycles, linearCycles]) {
    const rate = make(cycles)
    assert.equal(rate(1), 0.5)
    assert.equal(rate(10), 0.5)
    assert.ok(Math.abs(rate(11) - 0.2) < 1e-12)
    assert.ok(Math.abs(rate(30) - 0.2) < 1e-12)
    assert.ok(Math.abs(rate(1000) - 0.2) < 1e-12)
  }
  assert.throws(() => linearCycles([{ ...cycles[0]!, length: 2 }]), /no room for a warm-up of 2/)
})

test("the warm-up of the average is LitEma's", () => {
  const rate = (n: number) => 1 - ema({ decay: 0.9999 }).scalars(n).emaRate!
  assert.ok(Math.abs(rate(1) - 2 / 11) < 1e-12)
  assert.ok(Math.abs(rate(100) - 101 / 110) < 1e-12)
  assert.ok(Math.abs(rate(1e7) - 0.9999) < 1e-12)
  assert.throws(() => ema({ decay: 2 }), RangeError)
})
