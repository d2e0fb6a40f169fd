import { checkFeatures, type Features } from './features.js'

/**
 * Precision (the share of generated pictures inside the manifold of the real ones), recall (the other way round) and
 * their harmonic mean. The manifold is the union of balls around each row that reach to its k-th neighbour.
 *
 * Source: Kynkäänniemi et al. 2019; torch-fidelity metric_prc.py.
 */
export function precisionRecall(
  generated: Features,
  real: Features,
  { neighbourhood = 3 }: { neighbourhood?: number } = {},
): { precision: number; recall: number; fScore: number } {
  checkFeatures('precision and recall', neighbourhood + 1, generated, real)
  const precision = shareInside(generated, real, neighbourhood)
  const recall = shareInside(real, generated, neighbourhood)
  return { precision, recall, fScore: (2 * precision * recall) / Math.max(1e-5, precision + recall) }
}

function shareInside(points: Features, centres: Features, k: number): number {
  const radii = Float64Array.from({ length: centres.rows }, (_, i) => {
    const distances = Float64Array.from({ length: centres.rows }, (_, j) => squaredDistance(centres, i, centres, j))
    // The smallest of all is the row itself.
    return distances.sort()[k]!
  })
  let inside = 0
  for (let i = 0; i < points.rows; i++) {
    if (radii.some((radius, j) => squaredDistance(points, i, centres, j) <= radius)) inside++
  }
  return inside / points.rows
}

function squaredDistance(a: Features, i: number, b: Features, j: number): number {
  let sum = 0
  for (let k = 0; k < a.columns; k++) sum += (a.data[i * a.columns + k]! - b.data[j * b.columns + k]!) ** 2
  return sum
}
