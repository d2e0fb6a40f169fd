import { LatentkitError } from '../platform/errors.js'

/** Eigenvalues, and row i of `vectors` [n, n] is the unit eigenvector of value i. */
export interface SymmetricEigen {
  readonly values: Float64Array
  readonly vectors: Float64Array
}

/** QL steps allowed for one eigenvalue: two are usual. */
const mostSteps = 60
/** Nothing beside entries near 1, and its square is not yet 0. */
const negligible = 1e-100

/**
 * Eigenvalues and eigenvectors of a symmetric matrix [n, n]: Householder's reduction to tridiagonal form, then implicit
 * QL (Golub & Van Loan, Matrix Computations, 8.3). Both are backward stable. Throws LatentkitError for NaN or infinity.
 */
export function symmetricEigen(matrix: Float64Array, n: number): SymmetricEigen {
  return decompose(matrix, n, identity(n))
}

/** The eigenvalues alone, in a fraction of the time; throws as `symmetricEigen` does. */
export const symmetricEigenvalues = (matrix: Float64Array, n: number): Float64Array =>
  decompose(matrix, n, undefined).values

function identity(n: number): Float64Array {
  const out = new Float64Array(n * n)
  for (let i = 0; i < n; i++) out[i * n + i] = 1
  return out
}

function decompose<V extends Float64Array | undefined>(matrix: Float64Array, n: number, vectors: V) {
  if (matrix.length !== n * n) throw new RangeError(`${matrix.length} values are no matrix [${n}, ${n}]`)
  if (!matrix.every(Number.isFinite)) {
    throw new LatentkitError(`Cannot find the eigenvalues of a matrix [${n}, ${n}]: it has entries that are not finite`)
  }
  // Entries of at most 1, so that no square overflows.
  const largest = matrix.reduce((max, value) => Math.max(max, Math.abs(value)), 0) || 1
  const { diagonal, off } = tridiagonal(
    matrix.map(value => value / largest),
    n,
    vectors,
  )
  // What lies below the rounding of the largest entries is noise: a singular matrix would have whole blocks of it.
  const noise =
    Number.EPSILON * diagonal.reduce((most, value, i) => Math.max(most, Math.abs(value) + Math.abs(off[i]!)), 0)
  for (let first = 0; first < n; first++) deflate(diagonal, off, vectors, n, first, noise)
  return { values: diagonal.map(value => value * largest), vectors }
}

/** A = Q T Q^T with T tridiagonal (`off[i]` beside `diagonal[i]`); `vectors`, if wanted, are multiplied by Q^T. Destroys `a`. */
function tridiagonal(a: Float64Array, n: number, vectors: Float64Array | undefined) {
  const v = new Float64Array(n)
  const q = new Float64Array(n)
  for (let k = 0; k + 2 < n; k++) {
    let norm = 0
    for (let i = k + 1; i < n; i++) norm += (v[i] = a[i * n + k]!) ** 2
    // Away from cancellation: v = x + sign(x0) |x| e0.
    v[k + 1]! += v[k + 1]! < 0 ? -Math.sqrt(norm) : Math.sqrt(norm)
    let length = 0
    for (let i = k + 1; i < n; i++) length += v[i]! ** 2
    if (length < negligible ** 2) continue
    length = Math.sqrt(length)
    for (let i = k + 1; i < n; i++) v[i]! /= length
    // With H = I - 2 v v^T and p = 2 A v: H A H = A - v q^T - q v^T, q = p - (v . p) v. Column k takes part.
    let dot = 0
    for (let i = k; i < n; i++) {
      let sum = 0
      for (let j = k + 1; j < n; j++) sum += a[i * n + j]! * v[j]!
      q[i] = 2 * sum
      if (i > k) dot += v[i]! * q[i]!
    }
    for (let i = k + 1; i < n; i++) q[i]! -= dot * v[i]!
    v[k] = 0
    for (let i = k; i < n; i++) {
      for (let j = k; j < n; j++) a[i * n + j]! -= v[i]! * q[j]! + q[i]! * v[j]!
    }
    // Q^T <- H Q^T: its rows are mixed.
    if (vectors) reflectRows(vectors, n, v, k + 1)
  }
  const diagonal = Float64Array.from({ length: n }, (_, i) => a[i * n + i]!)
  const off = Float64Array.from({ length: n }, (_, i) => (i + 1 < n ? a[(i + 1) * n + i]! : 0))
  return { diagonal, off }
}

function reflectRows(matrix: Float64Array, n: number, v: Float64Array, from: number): void {
  const dots = new Float64Array(n)
  for (let i = from; i < n; i++) {
    for (let j = 0; j < n; j++) dots[j]! += v[i]! * matrix[i * n + j]!
  }
  for (let i = from; i < n; i++) {
    const factor = 2 * v[i]!
    for (let j = 0; j < n; j++) matrix[i * n + j]! -= factor * dots[j]!
  }
}

/** Implicit QL with Wilkinson's shift until `off[first]` is negligible: then `diagonal[first]` is an eigenvalue. */
function deflate(
  diagonal: Float64Array,
  off: Float64Array,
  vectors: Float64Array | undefined,
  n: number,
  first: number,
  noise: number,
): void {
  for (let step = 0; ; step++) {
    const last = blockEnd(off, n, first, noise)
    if (last === first) return
    if (step === mostSteps) throw new LatentkitError(`The eigenvalues of a matrix [${n}, ${n}] did not converge`)
    const half = (diagonal[first + 1]! - diagonal[first]!) / (2 * off[first]!)
    const root = Math.sqrt(half * half + 1)
    const shift = diagonal[first]! - off[first]! / (half + (half < 0 ? -root : root))
    // The bulge is chased from the block's end to its beginning by plane rotations (c, s).
    let [c, s, carried] = [1, 1, 0]
    let g = diagonal[last]! - shift
    let i = last - 1
    for (; i >= first; i--) {
      const f = s * off[i]!
      const b = c * off[i]!
      const r = Math.sqrt(f * f + g * g)
      off[i + 1] = r
      if (r === 0) {
        diagonal[i + 1]! -= carried
        off[last] = 0
        break
      }
      s = f / r
      c = g / r
      g = diagonal[i + 1]! - carried
      const t = (diagonal[i]! - g) * s + 2 * c * b
      carried = s * t
      diagonal[i + 1] = g + carried
      g = c * t - b
      if (vectors) rotateRows(vectors, n, i, c, s)
    }
    if (i >= first) continue
    diagonal[first]! -= carried
    off[first] = g
    off[last] = 0
  }
}

/** The last row of the unreduced block that begins at `first`. */
function blockEnd(off: Float64Array, n: number, first: number, noise: number): number {
  let last = first
  while (last + 1 < n && Math.abs(off[last]!) > noise + negligible) last++
  return last
}

function rotateRows(matrix: Float64Array, n: number, i: number, c: number, s: number): void {
  for (let j = 0, upper = i * n, lower = upper + n; j < n; j++, upper++, lower++) {
    const value = matrix[lower]!
    matrix[lower] = s * matrix[upper]! + c * value
    matrix[upper] = c * matrix[upper]! - s * value
  }
}
