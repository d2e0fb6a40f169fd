import { LatentkitError } from '../platform/errors.js'
import { checkFeatures, type Features } from './features.js'
import { type Moments, momentsOf } from './moments.js'
import { symmetricEigenvalues } from './symmetric-eigen.js'

/**
 * Fréchet distance of the Gaussians that fit two sets of features (given as such, or as the Gaussians): |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)).
 *
 * With features of the 2015 Inception network this is FID; name the network in every printed figure. Throws RangeError
 * below two rows. Source: Heusel et al. 2017, eq. 6; torch-fidelity metric_fid.py, pytorch-fid fid_score.py.
 */
export function frechetDistance(first: Features | Moments, second: Features | Moments): number {
  const [a, b] = [first, second].map(gaussian) as [Moments, Moments]
  const n = a.columns
  if (b.columns !== n) {
    throw new RangeError(`Cannot compute the Fréchet distance: features of ${n} and of ${b.columns} columns differ`)
  }
  let distance = 0
  for (let i = 0; i < n; i++) {
    distance += (a.mean[i]! - b.mean[i]!) ** 2 + a.covariance[i * n + i]! + b.covariance[i * n + i]!
  }
  if (!Number.isFinite(distance)) {
    throw new LatentkitError(
      'Cannot compute the Fréchet distance: features are not finite; the network or a picture is damaged',
    )
  }
  return distance - 2 * traceOfRoot(a.covariance, b.covariance, n)
}

function gaussian(of: Features | Moments): Moments {
  if ('mean' in of) return of
  checkFeatures('the Fréchet distance', 2, of)
  return momentsOf(of)
}

/**
 * tr((A B)^(1/2)) of covariances: with A = L L^T it is the sum of the roots of the eigenvalues of the symmetric L^T B L,
 * which has as many rows as A has rank.
 */
function traceOfRoot(a: Float64Array, b: Float64Array, n: number): number {
  const { rows, rank } = choleskyRows(a, n)
  // Row i of `rows` is column i of L, so these are products of rows: L^T B, then (L^T B) L.
  const half = productOfRows(rows, rank, b, n, n)
  const product = productOfRows(half, rank, rows, rank, n)
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j < i; j++) {
      product[i * rank + j] = product[j * rank + i] = (product[i * rank + j]! + product[j * rank + i]!) / 2
    }
  }
  return symmetricEigenvalues(product, rank).reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0)
}

/**
 * A = sum of v v^T over the rows v, by Cholesky's method with the largest pivot first (Higham 2002, section 10.3), which
 * ends where only rounding is left: covariances of few pictures are singular.
 */
function choleskyRows(matrix: Float64Array, n: number): { rows: Float64Array; rank: number } {
  const rest = Float64Array.from({ length: n }, (_, i) => matrix[i * n + i]!)
  const noise = n * Number.EPSILON * Math.max(...rest)
  const rows = new Float64Array(n * n)
  let rank = 0
  for (; rank < n; rank++) {
    let pivot = 0
    for (let i = 1; i < n; i++) if (rest[i]! > rest[pivot]!) pivot = i
    if (!(rest[pivot]! > noise)) break
    const row = rows.subarray(rank * n, (rank + 1) * n)
    for (let j = 0; j < n; j++) row[j] = matrix[pivot * n + j]!
    for (let k = 0; k < rank; k++) {
      const factor = rows[k * n + pivot]!
      for (let j = 0, at = k * n; j < n; j++, at++) row[j]! -= factor * rows[at]!
    }
    const root = Math.sqrt(rest[pivot]!)
    for (let j = 0; j < n; j++) rest[j]! -= (row[j]! /= root) ** 2
    // Its row is done: what rounding leaves must not be taken for a pivot again.
    rest[pivot] = 0
  }
  return { rows, rank }
}

/** X Y^T of x [p, n] and y [q, n], four rows of y at once. */
function productOfRows(x: Float64Array, p: number, y: Float64Array, q: number, n: number): Float64Array {
  const out = new Float64Array(p * q)
  for (let i = 0; i < p; i++) {
    const from = i * n
    for (let j = 0; j < q; j += 4) {
      const [second, third, fourth] = [1, 2, 3].map(k => Math.min(j + k, q - 1) * n) as [number, number, number]
      const first = j * n
      let [a, b, c, d] = [0, 0, 0, 0]
      for (let k = 0; k < n; k++) {
        const value = x[from + k]!
        a += value * y[first + k]!
        b += value * y[second + k]!
        c += value * y[third + k]!
        d += value * y[fourth + k]!
      }
      for (const [k, sum] of [a, b, c, d].entries()) if (j + k < q) out[i * q + j + k] = sum
    }
  }
  return out
}
