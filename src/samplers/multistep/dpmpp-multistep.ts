import { combine } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { exponentialWeights } from '../exponential.js'
import { withNoise } from '../model.js'
import type { AncestralOptions } from '../single-step/ancestral.js'
import { dividedDifferences, type MultistepOptions, multistepOrder } from './orders.js'

export interface DpmppOptions extends MultistepOptions, Partial<AncestralOptions> {
  /** How second-order steps weigh the change of the prediction. */
  readonly solver?: 'midpoint' | 'heun' | undefined
  /** Constant in the weight of the second change in steps of third order: 1/2 by the integral. */
  readonly bend?: number | undefined
}

/**
 * DPM-Solver++ (Lu et al. 2022b, algorithm 2), multistep in predictions of the image: 2M, 3M, and with `eta` their SDE
 * forms, in which every step of size h in log SNR acts as one of (1 + eta) h and adds noise.
 *
 * Source of the SDE forms: k-diffusion, sampling.py, sample_dpmpp_2m_sde and sample_dpmpp_3m_sde.
 */
export async function* dpmppMultistep(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  options: DpmppOptions = {},
): Sampling {
  const { solver = 'midpoint', eta = 0, bend, noise, noiseScale = 1 } = options
  if (eta > 0 && !noise) throw new TypeError(`DPM-Solver++ with eta ${eta} needs a source of noise`)
  const predictions: Float32Array[] = []
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [sigmas[i]!, sigmas[i + 1]!]
    const x0 = await denoise(x, from)
    predictions.unshift(x0)
    if (to === 0) x = x0
    else {
      const h = Math.log(from / to)
      const H = (1 + eta) * h
      const weights = exponentialWeights(-H, bend)
      const order = multistepOrder(i, sigmas, options)
      const [first, second] = dividedDifferences(predictions, sigmas, i, order)
      x = combine((to / from) * Math.exp(-eta * h), x, weights.value, x0)
      // A second-order step has a choice, a third-order step needs the exact integral.
      if (first) x = combine(1, x, order === 2 && solver === 'midpoint' ? weights.value / 2 : weights.first, first)
      if (second) x = combine(1, x, weights.second, second)
      if (eta > 0) x = withNoise(x, to * Math.sqrt(-Math.expm1(-2 * eta * h)) * noiseScale, noise!(from, to))
    }
    yield { x, x0 }
  }
}
