import type { Denoise, Sampling } from '../contract.js'
import { linearMultistep } from './linear.js'

/**
 * Gradient estimation (Permenter & Yuan 2024, section 5): Euler's steps along the slope led on from the one before by
 * gamma. A last step to a clean image is Euler's own.
 *
 * Source: ComfyUI, comfy/k_diffusion/sampling.py, sample_gradient_estimation.
 */
export function gradientEstimation(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  { gamma = 2 }: { readonly gamma?: number } = {},
): Sampling {
  return linearMultistep(denoise, x, sigmas, i => {
    const way = sigmas[i + 1]! - sigmas[i]!
    return i === 0 || sigmas[i + 1] === 0 ? [way] : [way * gamma, way * (1 - gamma)]
  })
}
