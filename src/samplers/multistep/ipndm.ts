import type { Denoise, Sampling } from '../contract.js'
import { adamsBashforth, linearMultistep } from './linear.js'

/**
 * iPNDM (Zhang & Chen 2022, section 4.2): Adams-Bashforth over the last four slopes with the weights of even steps, from
 * the first step on. A last step to a clean image is Euler's.
 *
 * Source: ComfyUI, comfy/k_diffusion/sampling.py, sample_ipndm.
 */
export function ipndm(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  /** Whether the step to a clean image is Euler's; stable-diffusion.cpp goes there with all slopes. */
  { eulerToClean = true }: { readonly eulerToClean?: boolean } = {},
): Sampling {
  return linearMultistep(denoise, x, sigmas, i => {
    const way = sigmas[i + 1]! - sigmas[i]!
    const known = sigmas[i + 1] === 0 && eulerToClean ? 0 : Math.min(i, 3)
    return adamsBashforth[known]!.map(weight => way * weight)
  })
}

/**
 * iPNDM with weights for the steps as they are. Those of third and fourth order are not the exact ones of uneven steps:
 * they are the original's, and agree with them where steps are even.
 *
 * Source: ComfyUI, comfy/k_diffusion/sampling.py, sample_ipndm_v.
 */
export function ipndmVariable(denoise: Denoise, x: Float32Array, sigmas: ArrayLike<number>): Sampling {
  return linearMultistep(denoise, x, sigmas, i => {
    const step = (back: number) => sigmas[i + 1 - back]! - sigmas[i - back]!
    if (i === 0 || sigmas[i + 1] === 0) return [step(0)]
    return variableWeights(Array.from({ length: Math.min(i, 3) + 1 }, (_, back) => step(back))).map(w => step(0) * w)
  })
}

/** Weights of the slopes for the coming step and those before it, newest first. */
function variableWeights([h, h1, h2, h3]: readonly number[]): number[] {
  const second = h! / (2 * h1!)
  if (h2 === undefined) return [1 + second, -second]
  const third = (1 - (h! * h!) / (3 * h1! * (h1! + h2))) / 2
  const back = h1! / h2
  const weights = [1 + second + third, -second - (1 + back) * third, third * back]
  if (h3 === undefined) return weights
  const reach = h! + h1!
  const fourth =
    ((1 - h! / (3 * reach)) / 2 + ((1 - h! / (2 * reach)) * h!) / (6 * (reach + h2))) *
    ((h! * reach * (reach + h2)) / (h1! * (h1! + h2) * (h1! + h2 + h3)))
  const further = (h1! * (h1! + h2)) / (h2 * (h2 + h3))
  return [
    weights[0]! + fourth,
    weights[1]! - (1 + back + further) * fourth,
    weights[2]! + (back + further * (1 + h2 / h3)) * fourth,
    -fourth * further * back,
  ]
}

/** The same in stable-diffusion.cpp: third and fourth order with the weights of even steps (src/runtime/denoiser.hpp). */
export function ipndmHalfVariable(denoise: Denoise, x: Float32Array, sigmas: ArrayLike<number>): Sampling {
  return linearMultistep(denoise, x, sigmas, i => {
    const way = sigmas[i + 1]! - sigmas[i]!
    const weights = i === 1 ? variableWeights([way, sigmas[1]! - sigmas[0]!]) : adamsBashforth[Math.min(i, 3)]!
    return weights.map(weight => way * weight)
  })
}
