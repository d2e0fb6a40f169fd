import { checkFeatures, type Features, meanAndCovariance } from './features.js'
import { symmetricEigen } from './symmetric-eigen.js'

/**
 * Fréchet distance of the Gaussians that fit two sets of features: |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)).
 *
 * With features of the 2015 Inception network this is FID; name the network in every printed figure. Throws RangeError
 * below two rows. Source: Heusel et al. 2017, eq. 6; torch-fidelity metric_fid.py, pytorch-fid fid_score.py.
 */
export function frechetDistance(first: Features, second: Features): number {
  checkFeatures('the Fréchet distance', 2, first, second)
  const n = first.columns
  const a = meanAndCovariance(first)
  const b = meanAndCovariance(second)
  let distance = 0
  for (let i = 0; i < n; i++) {
    distance += (a.mean[i]! - b.mean[i]!) ** 2 + a.covariance[i * n + i]! + b.covariance[i * n + i]!
  }
  return distance - 2 * traceOfRoot(a.covariance, b.covariance, n)
}

/**
 * tr((A B)^(1/2)) of covariances: with A = V^T L V it is the sum of the roots of the eigenvalues of the symmetric
 * L^(1/2) V B V^T L^(1/2), which exists for singular matrices too.
 */
function traceOfRoot(a: Float64Array, b: Float64Array, n: number): number {
  const { values, vectors } = symmetricEigen(a, n)
  const scaled = vectors.map((value, i) => value * Math.sqrt(Math.max(0, values[Math.floor(i / n)]!)))
  const product = multiplyTransposed(multiplyTransposed(scaled, b, n), scaled, n)
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      product[i * n + j] = product[j * n + i] = (product[i * n + j]! + product[j * n + i]!) / 2
    }
  }
  return symmetricEigen(product, n).values.reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0)
}

/** X Y^T of square matrices. */
function multiplyTransposed(x: Float64Array, y: Float64Array, n: number): Float64Array {
  const out = new Float64Array(n * n)
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0
      for (let k = 0; k < n; k++) sum += x[i * n + k]! * y[j * n + k]!
      out[i * n + j] = sum
    }
  }
  return out
}
