import { combine, type Level, type Step } from '../../diffusion/index.js'
import type { Noise, Predict, Sampling } from '../contract.js'

export interface TcdOptions {
  readonly noise: Noise
  /** The level of a whole timestep of the model. */
  readonly levelOf: (t: number) => Level
  /** How far below the next level each step goes before it is noised up to it, as a share of timesteps: 0 not at all. */
  readonly gamma?: number | undefined
}

/**
 * Strategic stochastic sampling of a trajectory consistency model (Zheng et al. 2024, algorithm 4): from t straight to
 * s = (1 - gamma) t', then noise up to t'.
 *
 * Source: diffusers, scheduling_tcd.py, step.
 */
export async function* tcd(
  predict: Predict,
  x: Float32Array,
  steps: readonly Step[],
  { noise, levelOf, gamma = 0.3 }: TcdOptions,
): Sampling {
  for (const [i, { from, to }] of steps.entries()) {
    const { x0, epsilon } = await predict(x, from)
    const next = steps[i + 1]?.from
    if (gamma === 0 || next === undefined) x = combine(to.alpha, x0, to.sigma, epsilon)
    else {
      const below = levelOf(Math.floor((1 - gamma) * next.t))
      const kept = to.alpha / below.alpha
      x = combine(kept, combine(below.alpha, x0, below.sigma, epsilon), Math.sqrt(Math.max(1 - kept ** 2, 0)), noise())
    }
    yield { x, x0 }
  }
}
