import type { Denoise, Sampling } from '../contract.js'
import { linearMultistep } from './linear.js'

export interface LmsOptions {
  /** Slopes that a step rests on. */
  readonly order?: number | undefined
  /** Slopes before the current one stand for those so many steps further back, as stable-diffusion.cpp has it. */
  readonly late?: number | undefined
  /** Whether a step to a clean image goes along the current slope alone, as ComfyUI has it. */
  readonly straightEnd?: boolean | undefined
}

/** Linear multistep: the polynomial through the last slopes, integrated (k-diffusion, sample_lms). */
export function lms(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  { order = 4, late = 0, straightEnd = false }: LmsOptions = {},
): Sampling {
  return linearMultistep(denoise, x, sigmas, i => {
    if (straightEnd && sigmas[i + 1] === 0) return [-sigmas[i]!]
    const knots = Array.from({ length: Math.min(order, i + 1) }, (_, j) => sigmas[i - j]!)
    const weights = knots.map(() => 0)
    for (const j of knots.keys()) {
      weights[j === 0 ? 0 : Math.max(j - late, 1)]! += lagrangeIntegral(knots, j, sigmas[i]!, sigmas[i + 1]!)
    }
    return weights
  })
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
