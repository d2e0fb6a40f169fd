import { combine, type Step } from '../../diffusion/index.js'
import type { Noise, Predict, Sampling } from '../contract.js'

export interface LcmOptions {
  readonly noise: Noise
  /** The factor of the timestep in the consistency function's boundary; undefined: the predicted image is taken whole. */
  readonly timestepScaling?: number | undefined
}

/** Spread of the images in the consistency function's boundary (Luo et al. 2023, section 4.1). */
const sigmaData = 0.5

/**
 * Multistep consistency sampling (Song et al. 2023, algorithm 1; latent: Luo et al. 2023): predict the image, noise it
 * anew to the next level.
 *
 * Source of the boundary: diffusers, scheduling_lcm.py.
 */
export async function* lcm(
  predict: Predict,
  x: Float32Array,
  steps: readonly Step[],
  { noise, timestepScaling }: LcmOptions,
): Sampling {
  for (const [i, { from, to }] of steps.entries()) {
    let { x0 } = await predict(x, from)
    if (timestepScaling !== undefined) {
      const scaled = from.t * timestepScaling
      const total = scaled ** 2 + sigmaData ** 2
      x0 = combine(scaled / Math.sqrt(total), x0, sigmaData ** 2 / total, x)
    }
    x = i === steps.length - 1 ? x0 : combine(to.alpha, x0, to.sigma, noise())
    yield { x, x0 }
  }
}
