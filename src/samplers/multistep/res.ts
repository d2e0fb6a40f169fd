import { combine } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { exponentialWeights } from '../exponential.js'
import { withNoise } from '../model.js'
import { type AncestralOptions, ancestralSplit } from '../single-step/ancestral.js'
import { eulerStep } from '../single-step/euler.js'

/**
 * RES (Zhang et al. 2023, "refined exponential solver"), second order, multistep; with `eta` it steps further down and
 * adds noise back.
 *
 * Source: ComfyUI, comfy/k_diffusion/sampling.py, res_multistep.
 */
export async function* resMultistep(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  { noise, eta = 0, noiseScale = 1 }: AncestralOptions,
): Sampling {
  let before: { x0: Float32Array; down: number } | undefined
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [sigmas[i]!, sigmas[i + 1]!]
    const x0 = await denoise(x, from)
    const { down, up } = ancestralSplit(from, to, eta)
    if (down === 0 || !before) x = eulerStep(x, x0, from, down)
    else {
      const h = Math.log(from / down)
      const { value, first } = exponentialWeights(-h)
      const place = Math.log(before.down / sigmas[i - 1]!) / h
      const old = first / place
      x = combine(1, combine(down / from, x, value - old, x0), old, before.x0)
    }
    if (up > 0) x = withNoise(x, up * noiseScale, noise(from, to))
    before = { x0, down }
    yield { x, x0 }
  }
}
