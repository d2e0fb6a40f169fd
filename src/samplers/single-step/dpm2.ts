import { combine } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { slope, withNoise } from '../model.js'
import { type AncestralOptions, ancestralSplit } from './ancestral.js'
import { type ChurnOptions, churned, eulerStep } from './euler.js'

/** From one level to another with the slope half way in log sigma; one call more than Euler's step. */
async function midpointStep(denoise: Denoise, x: Float32Array, x0: Float32Array, from: number, to: number) {
  if (to === 0) return eulerStep(x, x0, from, 0)
  const middle = Math.sqrt(from * to)
  const there = eulerStep(x, x0, from, middle)
  return combine(1, x, to - from, slope(there, await denoise(there, middle), middle))
}

/** DPM-Solver-2 (Lu et al. 2022) within Karras et al. 2022, algorithm 2 (k-diffusion, sample_dpm_2). */
export async function* dpm2(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  options: ChurnOptions = {},
): Sampling {
  const steps = sigmas.length - 1
  for (let i = 0; i < steps; i++) {
    const at = churned(x, sigmas[i]!, steps, options)
    const x0 = await denoise(at.x, at.sigma)
    x = await midpointStep(denoise, at.x, x0, at.sigma, sigmas[i + 1]!)
    yield { x, x0 }
  }
}

/** The same, stepping further down and adding noise back (k-diffusion, sample_dpm_2_ancestral). */
export async function* dpm2Ancestral(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  { noise, eta = 1, noiseScale = 1 }: AncestralOptions,
): Sampling {
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const x0 = await denoise(x, sigmas[i]!)
    const { down, up } = ancestralSplit(sigmas[i]!, sigmas[i + 1]!, eta)
    x = await midpointStep(denoise, x, x0, sigmas[i]!, down)
    if (down > 0) x = withNoise(x, up * noiseScale, noise(sigmas[i]!, sigmas[i + 1]!))
    yield { x, x0 }
  }
}
