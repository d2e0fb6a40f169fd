import { combine } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { slope } from '../model.js'

export interface LmsOptions {
  /** Slopes that a step rests on, at most 4. */
  readonly order?: number | undefined
}

/** Linear multistep: the polynomial through the last slopes, integrated (k-diffusion, sample_lms). */
export async function* lms(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  { order = 4 }: LmsOptions = {},
): Sampling {
  const slopes: Float32Array[] = []
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const x0 = await denoise(x, sigmas[i]!)
    slopes.unshift(slope(x, x0, sigmas[i]!))
    if (slopes.length > order) slopes.pop()
    const knots = slopes.map((_, j) => sigmas[i - j]!)
    slopes.forEach((d, j) => {
      x = combine(1, x, lagrangeIntegral(knots, j, sigmas[i]!, sigmas[i + 1]!), d)
    })
    yield { x, x0 }
  }
}

/** Integral of the j-th Lagrange polynomial over the knots, exact up to four knots (two-point Gauss-Legendre). */
function lagrangeIntegral(knots: readonly number[], j: number, from: number, to: number): number {
  const polynomial = (tau: number) =>
    knots.reduce((product, knot, k) => (k === j ? product : (product * (tau - knot)) / (knots[j]! - knot)), 1)
  const middle = (from + to) / 2
  const reach = (to - from) / 2 / Math.sqrt(3)
  return ((to - from) / 2) * (polynomial(middle - reach) + polynomial(middle + reach))
}
