import { combine, type Step } from '../../diffusion/index.js'
import type { Noise, Predict, SampleStep } from '../contract.js'
import { withNoise } from '../model.js'

export interface DdpmOptions {
  readonly noise: Noise
  /** Where the variance lies between its bounds: 0 the posterior's (fixed small), 1 beta (fixed large). */
  readonly variance?: number | undefined
}

export interface DdpmStep extends SampleStep {
  /** The step's result before noise. */
  readonly mean: Float32Array
}

/**
 * Ancestral sampling (Ho et al. 2020, algorithm 2 by way of eq. 7): the mean is that of the posterior given the
 * predicted image, so that clipping it has its effect. No noise at timestep 0.
 */
export async function* ddpm(
  predict: Predict,
  x: Float32Array,
  steps: readonly Step[],
  { noise, variance = 0 }: DdpmOptions,
): AsyncGenerator<DdpmStep, void> {
  for (const { from, to } of steps) {
    const { x0 } = await predict(x, from)
    const kept = from.alpha / to.alpha
    const beta = 1 - kept ** 2
    const mean = combine((to.alpha * beta) / from.sigma ** 2, x0, (kept * to.sigma ** 2) / from.sigma ** 2, x)
    x = mean
    if (from.t > 0) {
      const small = beta * (to.sigma / from.sigma) ** 2
      x = withNoise(mean, Math.sqrt((1 - variance) * small + variance * beta), noise())
    }
    yield { x, x0, mean }
  }
}
