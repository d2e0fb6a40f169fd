import type { Denoise, Sampling } from '../contract.js'
import { withNoise } from '../model.js'
import { type AncestralOptions, ancestralSplit } from './ancestral.js'
import { eulerStep } from './euler.js'

/** Ancestral sampling over noise levels with Euler steps (k-diffusion, sample_euler_ancestral). */
export async function* eulerAncestral(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  { noise, eta = 1, noiseScale = 1 }: AncestralOptions,
): Sampling {
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [sigmas[i]!, sigmas[i + 1]!]
    const x0 = await denoise(x, from)
    const { down, up } = ancestralSplit(from, to, eta)
    x = eulerStep(x, x0, from, down)
    if (to > 0) x = withNoise(x, up * noiseScale, noise(from, to))
    yield { x, x0 }
  }
}
