import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { restoreTorchGenerator, type TorchGenerator, torchGenerator } from './torch.js'

function close(actual: ArrayLike<number>, expected: readonly number[], tolerance: number): void {
  expected.forEach((value, i) => {
    assert.ok(Math.abs(actual[i]! - value) <= tolerance, `element ${i} is ${actual[i]}, expected ${value}`)
  })
}

test('normals are those of torch, below and from 16 elements on', () => {
  close(
    torchGenerator(42).randn(16384),
    [1.92691529, 1.48728406, 0.9007172, -2.10552096, 0.67841846, -1.23454487],
    2e-6,
  )
  close(torchGenerator(42).randn(5), [0.33669037, 0.1288094, 0.23446237, 0.23033303], 1e-7)
  close(torchGenerator(0).randn(8), [1.5409961, -0.2934289, -2.1787894, 0.56843126], 2e-7)
})

test('uniforms, integers and permutations are those of torch', () => {
  close(torchGenerator(42).rand(4), [0.88227, 0.915, 0.38286, 0.95931], 1e-5)
  assert.deepEqual([...torchGenerator(42).randint(0, 1000, 6)], [542, 67, 876, 414, 26, 335])
  assert.deepEqual([...torchGenerator(42).randperm(8)], [6, 3, 0, 7, 2, 1, 4, 5])
})

test('only the low 32 bits of a seed count', () => {
  assert.deepEqual(torchGenerator(2 ** 32 + 5).randn(20), torchGenerator(5).randn(20))
  assert.deepEqual(torchGenerator(2n ** 60n + 5n).randn(20), torchGenerator(5).randn(20))
})

const draws: ((g: TorchGenerator, n: number) => ArrayLike<number>)[] = [
  (g, n) => g.randn(n),
  (g, n) => g.randn64(n),
  (g, n) => g.rand(n),
  (g, n) => g.rand64(n),
  (g, n) => g.randint(-3, 900, n),
  (g, n) => g.randint(0, 2 ** 40, n),
  (g, n) => g.randperm(n),
  (g, n) => g.bernoulli(0.3, n),
  (g, n) => g.dropout(0.1, n),
  (g, n) => g.uniform(-2, 3, n),
  (g, n) => g.normal(1, 0.5, n),
]

test('a state saved at any point, through JSON too, goes on as the generator itself', () => {
  const call = fc.record({ draw: fc.constantFrom(...draws), n: fc.integer({ min: 0, max: 700 }) })
  fc.assert(
    fc.property(
      fc.integer(),
      fc.array(call, { maxLength: 4 }),
      fc.array(call, { maxLength: 4 }),
      (seed, before, after) => {
        const g = torchGenerator(seed)
        for (const { draw, n } of before) draw(g, n)
        const again = restoreTorchGenerator(JSON.parse(JSON.stringify(g.state())))
        for (const { draw, n } of after) assert.deepEqual(draw(again, n), draw(g, n))
      },
    ),
    { numRuns: 50 },
  )
})

test('draws lie in their ranges', () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: -1000, max: 1000 }),
      fc.integer({ min: 1, max: 1e9 }),
      (seed, low, range) => {
        const g = torchGenerator(seed)
        assert.ok(g.randint(low, low + range, 40).every(v => v >= low && v < low + range && Number.isInteger(v)))
        assert.ok(g.rand(40).every(v => v >= 0 && v < 1))
        assert.deepEqual(
          [...g.randperm(40)].sort((a, b) => a - b),
          Array.from({ length: 40 }, (_, i) => i),
        )
      },
    ),
    { numRuns: 50 },
  )
})

test('impossible ranges and states are refused', () => {
  assert.throws(() => torchGenerator(0).randint(3, 3, 1), RangeError)
  assert.throws(() => torchGenerator(0).randint(0, 2 ** 60, 1), RangeError)
  assert.throws(() => restoreTorchGenerator({ words: [1, 2], position: 0, spareNormal: null }), RangeError)
})
