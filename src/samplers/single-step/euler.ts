import { combine } from '../../diffusion/index.js'
import type { Denoise, Noise, Sampling } from '../contract.js'
import { withNoise } from '../model.js'

/** Noise that is added before a step and taken away with it (Karras et al. 2022, algorithm 2). */
export interface ChurnOptions {
  readonly churn?: number | undefined
  /** Noise levels between which there is churn. */
  readonly churnFrom?: number | undefined
  readonly churnTo?: number | undefined
  /** Factor of the noise added. */
  readonly noiseScale?: number | undefined
  readonly noise?: Noise | undefined
  /** Whether noise is drawn for levels without churn too, as k-diffusion does: who wants its pictures by seed needs it. */
  readonly drawAlways?: boolean | undefined
}

/** Raises x to the churned level: the batch and level at which the step starts. */
export function churned(
  x: Float32Array,
  sigma: number,
  steps: number,
  { churn = 0, churnFrom = 0, churnTo = Infinity, noiseScale = 1, noise, drawAlways }: ChurnOptions,
): { x: Float32Array; sigma: number } {
  const outside = sigma < churnFrom || sigma > churnTo
  if (churn === 0 || (outside && !drawAlways)) return { x, sigma }
  if (!noise) throw new TypeError(`A churn of ${churn} needs a source of noise`)
  const drawn = noise()
  if (outside) return { x, sigma }
  const raised = sigma * (Math.min(churn / steps, Math.SQRT2 - 1) + 1)
  return { x: withNoise(x, Math.sqrt(raised ** 2 - sigma ** 2) * noiseScale, drawn), sigma: raised }
}

/** x moved along the line from the predicted image through it, from one noise level to another. */
export function eulerStep(x: Float32Array, x0: Float32Array, from: number, to: number): Float32Array {
  return combine(to / from, x, 1 - to / from, x0)
}

/** Euler's method for the probability flow (Karras et al. 2022, algorithm 2 without the correction). */
export async function* euler(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  options: ChurnOptions = {},
): Sampling {
  const steps = sigmas.length - 1
  for (let i = 0; i < steps; i++) {
    const at = churned(x, sigmas[i]!, steps, options)
    const x0 = await denoise(at.x, at.sigma)
    x = eulerStep(at.x, x0, at.sigma, sigmas[i + 1]!)
    yield { x, x0 }
  }
}
