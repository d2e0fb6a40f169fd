import type { Denoise, Sampling } from '../contract.js'
import { linearMultistep } from './linear.js'
import { type MultistepOptions, multistepOrder } from './orders.js'

/**
 * DEIS (Zhang & Chen 2022), multistep: the polynomial in log sigma through the last predictions of the noise, integrated
 * over sigma. The last level must be above 0.
 *
 * Source: diffusers, scheduling_deis_multistep.py, `logrho`.
 */
export function deis(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  options: MultistepOptions = {},
): Sampling {
  if (sigmas[sigmas.length - 1] === 0) throw new RangeError('DEIS cannot end at noise level 0; end at the lowest level')
  return linearMultistep(denoise, x, sigmas, i => {
    const length = multistepOrder(i, sigmas, options)
    const knots = Array.from({ length }, (_, j) => Math.log(sigmas[i - j]!))
    return knots.map((_, j) => lagrangeIntegral(knots, j, sigmas[i]!, sigmas[i + 1]!))
  })
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
