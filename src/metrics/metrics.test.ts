import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { LatentkitError } from '../platform/errors.js'
import { torchGenerator } from '../random/index.js'
import type { Features } from './features.js'
import { frechetDistance } from './frechet-distance.js'
import { inceptionScore } from './inception-score.js'
import { drawSubsets, kernelDistance } from './kernel-distance.js'
import { precisionRecall } from './precision-recall.js'
import { psnr } from './psnr.js'
import { ssim } from './ssim.js'
import { symmetricEigen } from './symmetric-eigen.js'

function features(seed: number, rows: number, columns: number, shift = 0, scale = 1): Features {
  return {
    data: torchGenerator(seed)
      .randn64(rows * columns)
      .map(x => x * scale + shift),
    rows,
    columns,
  }
}

test('eigenvectors rebuild the matrix and are orthonormal', () => {
  const sizes = fc.integer({ min: 1, max: 9 })
  const entries = fc.oneof(fc.constantFrom(0, 1), fc.double({ min: -1e3, max: 1e3, noNaN: true }))
  const matrices = sizes.chain(n => fc.array(entries, { minLength: n * n, maxLength: n * n }).map(a => ({ n, a })))
  fc.assert(
    fc.property(matrices, ({ n, a }) => {
      const matrix = Float64Array.from(a, (x, i) => (x + a[(i % n) * n + Math.floor(i / n)]!) / 2)
      const { values, vectors } = symmetricEigen(matrix, n)
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          let [rebuilt, product] = [0, 0]
          for (let k = 0; k < n; k++) {
            rebuilt += values[k]! * vectors[k * n + i]! * vectors[k * n + j]!
            product += vectors[i * n + k]! * vectors[j * n + k]!
          }
          assert.ok(Math.abs(rebuilt - matrix[i * n + j]!) < 1e-10 * (1 + Math.max(...a.map(Math.abs))))
          assert.ok(Math.abs(product - (i === j ? 1 : 0)) < 1e-12)
        }
      }
    }),
  )
  assert.throws(() => symmetricEigen(Float64Array.of(Number.NaN), 1), LatentkitError)
})

test('the Fréchet distance of shifted and scaled normals is as the formula says', () => {
  const n = 6
  const base = features(1, 400, n)
  assert.ok(Math.abs(frechetDistance(base, base)) < 1e-9)
  const shifted = { ...base, data: base.data.map(x => x + 2) }
  assert.ok(Math.abs(frechetDistance(base, shifted) - 4 * n) < 1e-9)
  // tr(S + 9 S - 2 * 3 S) = 4 tr S, and the means differ by 2 m.
  const scaled = { ...base, data: base.data.map(x => 3 * x) }
  const moments = frechetDistance(base, { ...base, data: base.data.map(() => 0) })
  assert.ok(Math.abs(frechetDistance(base, scaled) - 4 * moments) < 1e-9)
})

test('distances grow with the shift; one manifold has precision and recall 1', () => {
  const [a, b, far] = [features(1, 80, 8), features(2, 80, 8), features(3, 80, 8, 3)]
  const subsets = drawSubsets(a, b, { count: 5, size: 40, random: torchGenerator(0) })
  assert.ok(Math.abs(kernelDistance(a, b, subsets).mean) < 0.2)
  assert.ok(kernelDistance(a, far, subsets).mean > 10)
  assert.ok(frechetDistance(a, far) > frechetDistance(a, b))
  assert.deepEqual(precisionRecall(a, a), { precision: 1, recall: 1, fScore: 1 })
  assert.equal(precisionRecall(a, { ...far, data: far.data.map(x => x + 90) }).precision, 0)
  assert.throws(() => frechetDistance(a, features(4, 80, 9)), RangeError)
  assert.throws(() => drawSubsets(a, b, { count: 1, size: 81, random: torchGenerator(0) }), RangeError)
})

test('the Inception score is the number of classes for certain and even, 1 for undecided classifiers', () => {
  const certain = Float64Array.from({ length: 40 }, (_, i) => (i % 4 === Math.floor(i / 4) % 4 ? 50 : 0))
  const { mean, std } = inceptionScore({ data: certain, rows: 10, columns: 4 }, { splits: 1 })
  assert.ok(mean > 3.8 && mean <= 4 && std === 0)
  assert.ok(Math.abs(inceptionScore({ data: new Float64Array(40), rows: 10, columns: 4 }).mean - 1) < 1e-12)
})

test('PSNR and SSIM of equal and of inverted pictures', () => {
  const data = Uint8Array.from({ length: 16 * 16 * 3 }, (_, i) => (i * 31) % 256)
  const a = { data, width: 16, height: 16, channels: 3 }
  assert.equal(psnr(a, a), Number.POSITIVE_INFINITY)
  assert.ok(Math.abs(ssim(a, a).mean - 1) < 1e-12)
  assert.ok(ssim(a, { ...a, data: data.map(x => 255 - x) }).mean < 0)
  assert.ok(Math.abs(psnr({ ...a, data: new Uint8Array(768) }, { ...a, data: new Uint8Array(768).fill(255) })) < 1e-12)
  assert.throws(() => ssim(a, { ...a, width: 8, height: 32 }), RangeError)
})
