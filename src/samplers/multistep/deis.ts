import { combine } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { slope } from '../model.js'
import { type MultistepOptions, multistepOrder } from './orders.js'

/**
 * DEIS (Zhang & Chen 2022), multistep: the polynomial in log sigma through the last predictions of the noise, integrated
 * over sigma. The last level must be above 0.
 *
 * Source: diffusers, scheduling_deis_multistep.py, `logrho`.
 */
export async function* deis(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  options: MultistepOptions = {},
): Sampling {
  if (sigmas[sigmas.length - 1] === 0) throw new RangeError('DEIS cannot end at noise level 0; end at the lowest level')
  const predictions: Float32Array[] = []
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const x0 = await denoise(x, sigmas[i]!)
    predictions.unshift(slope(x, x0, sigmas[i]!))
    const knots = predictions.slice(0, multistepOrder(i, sigmas, options)).map((_, j) => Math.log(sigmas[i - j]!))
    for (const j of knots.keys()) {
      x = combine(1, x, lagrangeIntegral(knots, j, sigmas[i]!, sigmas[i + 1]!), predictions[j]!)
    }
    yield { x, x0 }
  }
}

/** Integral over sigma of the j-th Lagrange polynomial in u = log sigma: e^u (p - p' + p'') at the ends. */
function lagrangeIntegral(knots: readonly number[], j: number, from: number, to: number): number {
  const others = knots.filter((_, k) => k !== j)
  const scale = others.reduce((product, knot) => product * (knots[j]! - knot), 1)
  const primitive = (sigma: number) => {
    const [a = 1, b = 1] = others.map(knot => Math.log(sigma) - knot)
    const [value, first, second] = [
      [1, 0, 0],
      [a, 1, 0],
      [a * b, a + b, 2],
    ][others.length]!
    return (sigma * (value! - first! + second!)) / scale
  }
  return primitive(to) - primitive(from)
}
