import { combine } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { slope } from '../model.js'
import { type ChurnOptions, churned, eulerStep } from './euler.js'

/** Heun's method (Karras et al. 2022, algorithm 2): two calls of the network a step, one in the last. */
export async function* heun(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  options: ChurnOptions = {},
): Sampling {
  const steps = sigmas.length - 1
  for (let i = 0; i < steps; i++) {
    const at = churned(x, sigmas[i]!, steps, options)
    const to = sigmas[i + 1]!
    const x0 = await denoise(at.x, at.sigma)
    x = eulerStep(at.x, x0, at.sigma, to)
    if (to > 0) {
      const here = slope(at.x, x0, at.sigma)
      const there = slope(x, await denoise(x, to), to)
      x = combine(1, at.x, (to - at.sigma) / 2, combine(1, here, 1, there))
    }
    yield { x, x0 }
  }
}
