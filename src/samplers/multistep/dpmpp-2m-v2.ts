import { combine } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { eulerStep } from '../single-step/euler.js'

/**
 * DPM-Solver++ 2M with the mean of the last two steps' lengths in place of the coming one's: less overshoot where steps
 * are uneven. The same as 2M where they are even.
 *
 * Source: stable-diffusion.cpp, src/runtime/denoiser.hpp, sample_dpmpp_2m_v2.
 */
export async function* dpmpp2mV2(denoise: Denoise, x: Float32Array, sigmas: ArrayLike<number>): Sampling {
  let before: Float32Array | undefined
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [sigmas[i]!, sigmas[i + 1]!]
    const x0 = await denoise(x, from)
    if (!before || to === 0) x = eulerStep(x, x0, from, to)
    else {
      const [h, last] = [Math.log(from / to), Math.log(sigmas[i - 1]! / from)]
      const part = Math.min(h, last) / Math.max(h, last) / 2
      const weight = -Math.expm1(-(h + last) / 2)
      x = combine(1, combine(to / from, x, weight * (1 + part), x0), -weight * part, before)
    }
    before = x0
    yield { x, x0 }
  }
}
