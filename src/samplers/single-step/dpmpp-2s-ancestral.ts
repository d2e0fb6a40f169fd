import type { Denoise, Sampling } from '../contract.js'
import { withNoise } from '../model.js'
import { type AncestralOptions, ancestralSplit } from './ancestral.js'
import { eulerStep } from './euler.js'

/** DPM-Solver++(2S), second order within each step, with ancestral noise (k-diffusion, sample_dpmpp_2s_ancestral). */
export async function* dpmpp2sAncestral(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  { noise, eta = 1, noiseScale = 1 }: AncestralOptions,
): Sampling {
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [sigmas[i]!, sigmas[i + 1]!]
    const x0 = await denoise(x, from)
    const { down, up } = ancestralSplit(from, to, eta)
    if (down === 0) x = x0
    else {
      const middle = Math.sqrt(from * down)
      x = eulerStep(x, await denoise(eulerStep(x, x0, from, middle), middle), from, down)
    }
    if (to > 0) x = withNoise(x, up * noiseScale, noise(from, to))
    yield { x, x0 }
  }
}
