import { checkFeatures, type Features } from './features.js'

/** The Gaussian that fits features: their mean, and their covariance over rows - 1, [columns, columns]. */
export interface Moments {
  readonly mean: Float64Array
  readonly covariance: Float64Array
  readonly columns: number
  /** Features it was taken from; undefined where a file does not tell. */
  readonly rows: number | undefined
}

/** Takes features as they come, in memory that does not grow with them. */
export interface MomentsCollector {
  add(features: Features): void
  /** @throws RangeError below two rows. */
  moments(): Moments
}

/** Collects moments of features of so many columns. */
export function collectMoments(columns: number): MomentsCollector {
  // Sums of differences from the first row, which lies among the others: no cancellation of large numbers.
  let origin: Float64Array | undefined
  const sums = new Float64Array(columns)
  const products = new Float64Array(columns * columns)
  const centred = new Float64Array(columns)
  let count = 0
  return {
    add(features) {
      checkFeatures('moments', 0, features)
      const { data, rows } = features
      if (features.columns !== columns)
        throw new RangeError(`Features have ${features.columns} columns, wanted ${columns}`)
      if (rows > 0) origin ??= Float64Array.from(data.subarray(0, columns))
      for (let row = 0; row < rows; row++) {
        for (let c = 0; c < columns; c++) sums[c]! += centred[c] = data[row * columns + c]! - origin![c]!
        for (let i = 0; i < columns; i++) {
          const value = centred[i]!
          const to = i * columns
          for (let j = i; j < columns; j++) products[to + j]! += value * centred[j]!
        }
      }
      count += rows
    },
    moments() {
      if (count < 2) throw new RangeError(`Cannot take the covariance of ${count} pictures; at least 2 are wanted`)
      const covariance = new Float64Array(columns * columns)
      for (let i = 0; i < columns; i++) {
        for (let j = i; j < columns; j++) {
          const value = (products[i * columns + j]! - (sums[i]! * sums[j]!) / count) / (count - 1)
          covariance[i * columns + j] = covariance[j * columns + i] = value
        }
      }
      return { mean: sums.map((sum, c) => origin![c]! + sum / count), covariance, columns, rows: count }
    },
  }
}

/** Moments of features that are all there. */
export function momentsOf(features: Features): Moments {
  const collector = collectMoments(features.columns)
  collector.add(features)
  return collector.moments()
}
