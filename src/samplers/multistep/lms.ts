import { combine } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { slope } from '../model.js'

export interface LmsOptions {
  /** Slopes that a step rests on. */
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

/** Integral of the j-th Lagrange polynomial over the knots: of its powers of the share of the way. */
function lagrangeIntegral(knots: readonly number[], j: number, from: number, to: number): number {
  const way = to - from
  let powers = [1]
  for (const [k, knot] of knots.entries()) {
    if (k === j) continue
    const [constant, linear] = [from - knot, way].map(part => part / (knots[j]! - knot)) as [number, number]
    powers = Array.from(
      { length: powers.length + 1 },
      (_, n) => constant * (powers[n] ?? 0) + linear * (powers[n - 1] ?? 0),
    )
  }
  return way * powers.reduce((sum, power, n) => sum + power / (n + 1), 0)
}
