import { checkFeatures, type Features } from './features.js'

/**
 * Inception score of a classifier's logits: exp of the mean Kullback-Leibler divergence of each picture's classes from
 * those of its split; mean and population standard deviation over the splits, which take the rows in `order`.
 *
 * Source: Salimans et al. 2016; torch-fidelity metric_isc.py.
 */
export function inceptionScore(
  logits: Features,
  { splits = 10, order }: { splits?: number; order?: ArrayLike<number> } = {},
): { mean: number; std: number } {
  checkFeatures('the Inception score', splits, logits)
  const { rows, columns } = logits
  const scores = Array.from({ length: splits }, (_, split) => {
    const begin = Math.floor((split * rows) / splits)
    const end = Math.floor(((split + 1) * rows) / splits)
    const marginal = new Float64Array(columns)
    let negativeEntropy = 0
    for (let i = begin; i < end; i++) {
      const row = order ? order[i]! : i
      const logProbability = logSoftmax(logits.data.subarray(row * columns, (row + 1) * columns))
      logProbability.forEach((value, c) => {
        marginal[c]! += Math.exp(value) / (end - begin)
        negativeEntropy += (Math.exp(value) * value) / (end - begin)
      })
    }
    // Sum of p (log p - log m), averaged: the marginal's part needs the marginal alone.
    return Math.exp(negativeEntropy - marginal.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0))
  })
  const mean = scores.reduce((sum, score) => sum + score, 0) / splits
  return { mean, std: Math.sqrt(scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / splits) }
}

function logSoftmax(logits: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(logits)
  const max = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const log = Math.log(values.reduce((sum, value) => sum + Math.exp(value - max), 0)) + max
  return values.map(value => value - log)
}
