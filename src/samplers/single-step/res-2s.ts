import { combine } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { exponentialWeights } from '../exponential.js'
import { withNoise } from '../model.js'
import { type AncestralOptions, ancestralSplit } from './ancestral.js'
import { eulerStep } from './euler.js'

/**
 * RES (Zhang et al. 2023), second order within each step: DPM-Solver++ 2S but for the exact weight of the change; with
 * `eta` it steps further down and adds noise back.
 *
 * Source: stable-diffusion.cpp, src/runtime/denoiser.hpp, sample_res_2s.
 */
export async function* res2s(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  { noise, eta = 0, noiseScale = 1 }: AncestralOptions,
): Sampling {
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [sigmas[i]!, sigmas[i + 1]!]
    const x0 = await denoise(x, from)
    const { down, up } = ancestralSplit(from, to, eta)
    if (down === 0) x = x0
    else {
      const middle = Math.sqrt(from * down)
      const between = await denoise(eulerStep(x, x0, from, middle), middle)
      const { first } = exponentialWeights(-Math.log(from / down))
      x = combine(1, eulerStep(x, x0, from, down), 2 * first, combine(1, between, -1, x0))
    }
    if (up > 0) x = withNoise(x, up * noiseScale, noise(from, to))
    yield { x, x0 }
  }
}
