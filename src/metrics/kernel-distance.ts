import { checkFeatures, type Features } from './features.js'

/** Which rows of the two matrices one estimate takes; equally many. */
export interface Subset {
  readonly first: ArrayLike<number>
  readonly second: ArrayLike<number>
}

export interface KernelDistance {
  readonly mean: number
  /** Population standard deviation over the subsets. */
  readonly std: number
  readonly perSubset: readonly number[]
}

/**
 * Kernel distance (KID with features of the Inception network): the unbiased squared maximum mean discrepancy under the
 * kernel (x.y / columns + 1)^3, over subsets of rows.
 *
 * Source: Bińkowski et al. 2018; torch-fidelity metric_kid.py.
 */
export function kernelDistance(first: Features, second: Features, subsets: readonly Subset[]): KernelDistance {
  checkFeatures('the kernel distance', 2, first, second)
  if (subsets.length === 0) throw new RangeError('Cannot compute the kernel distance of no subsets')
  const perSubset = subsets.map(subset => discrepancy(first, second, subset))
  const mean = perSubset.reduce((sum, value) => sum + value, 0) / perSubset.length
  const variance = perSubset.reduce((sum, value) => sum + (value - mean) ** 2, 0) / perSubset.length
  return { mean, std: Math.sqrt(variance), perSubset }
}

/** Subsets without repetition, from a generator's permutations. */
export function drawSubsets(
  first: Features,
  second: Features,
  { count, size, random }: { count: number; size: number; random: { randperm(n: number): Int32Array } },
): Subset[] {
  if (size < 2 || size > Math.min(first.rows, second.rows)) {
    throw new RangeError(
      `Cannot draw ${size} of ${first.rows} and ${second.rows} pictures; 2 or more, at most all, can be`,
    )
  }
  return Array.from({ length: count }, () => ({
    first: random.randperm(first.rows).subarray(0, size),
    second: random.randperm(second.rows).subarray(0, size),
  }))
}

function discrepancy(a: Features, b: Features, { first, second }: Subset): number {
  const m = first.length
  if (m < 2 || second.length !== m) {
    throw new RangeError(`A subset of ${m} and ${second.length} rows was given; equally many, 2 or more, are wanted`)
  }
  let [within, between] = [0, 0]
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < m; j++) {
      if (i !== j) within += kernel(a, first[i]!, a, first[j]!) + kernel(b, second[i]!, b, second[j]!)
      between += kernel(a, first[i]!, b, second[j]!)
    }
  }
  return within / (m * (m - 1)) - (2 * between) / m ** 2
}

function kernel(a: Features, i: number, b: Features, j: number): number {
  let dot = 0
  for (let k = 0; k < a.columns; k++) dot += a.data[i * a.columns + k]! * b.data[j * b.columns + k]!
  return (dot / a.columns + 1) ** 3
}
