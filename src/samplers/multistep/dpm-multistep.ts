import { combine } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { exponentialWeights } from '../exponential.js'
import { slope, withNoise } from '../model.js'
import type { DpmppOptions } from './dpmpp-multistep.js'
import { dividedDifferences, multistepOrder } from './orders.js'

/**
 * DPM-Solver (Lu et al. 2022a), multistep in predictions of the noise; it cannot end at a clean image, so the last
 * level must be above 0. With `eta` 1 its SDE form.
 *
 * Source: diffusers, scheduling_dpmsolver_multistep.py, `dpmsolver` and `sde-dpmsolver`.
 */
export async function* dpmMultistep(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  options: DpmppOptions = {},
): Sampling {
  const { solver = 'midpoint', eta = 0, noise, noiseScale = 1 } = options
  if (eta > 0 && !noise) throw new TypeError(`DPM-Solver with eta ${eta} needs a source of noise`)
  if (sigmas[sigmas.length - 1] === 0) {
    throw new RangeError('DPM-Solver over predicted noise cannot end at noise level 0; end at the lowest level')
  }
  const predictions: Float32Array[] = []
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [sigmas[i]!, sigmas[i + 1]!]
    const x0 = await denoise(x, from)
    predictions.unshift(slope(x, x0, from))
    const h = Math.log(from / to)
    const weights = exponentialWeights(h)
    const order = multistepOrder(i, sigmas, options)
    const [first, second] = dividedDifferences(predictions, sigmas, i, order)
    const scale = to * (1 + eta)
    x = combine(1, x, scale * weights.value, predictions[0]!)
    if (first)
      x = combine(1, x, scale * (order === 2 && solver === 'midpoint' ? weights.value / 2 : weights.first), first)
    if (second) x = combine(1, x, scale * weights.second, second)
    if (eta > 0) x = withNoise(x, to * Math.sqrt(Math.expm1(2 * h)) * noiseScale, noise!())
    yield { x, x0 }
  }
}
