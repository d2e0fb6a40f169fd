import { combine } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { slope } from '../model.js'
import { eulerStep } from './euler.js'

/**
 * Heun++: each step along the slopes at its start and at up to two levels ahead, where Euler's steps lead; a slope weighs
 * as its level does against the first of all.
 *
 * Source: ComfyUI, comfy/k_diffusion/sampling.py, sample_heunpp2.
 */
export async function* heunPlusPlus(denoise: Denoise, x: Float32Array, sigmas: ArrayLike<number>): Sampling {
  const steps = sigmas.length - 1
  for (let i = 0; i < steps; i++) {
    const way = sigmas[i + 1]! - sigmas[i]!
    const calls = Math.min(3, steps - i)
    const x0 = await denoise(x, sigmas[i]!)
    const slopes = [slope(x, x0, sigmas[i]!)]
    let [there, seen] = [x, x0]
    for (let k = 1; k < calls; k++) {
      there = eulerStep(there, seen, sigmas[i + k - 1]!, sigmas[i + k]!)
      seen = await denoise(there, sigmas[i + k]!)
      slopes.push(slope(there, seen, sigmas[i + k]!))
    }
    const ahead = slopes.slice(1).map((_, k) => sigmas[i + k + 1]! / (calls * sigmas[0]!))
    const weights = [1 - ahead.reduce((sum, weight) => sum + weight, 0), ...ahead]
    for (const [k, weight] of weights.entries()) x = combine(1, x, way * weight, slopes[k]!)
    yield { x, x0 }
  }
}
