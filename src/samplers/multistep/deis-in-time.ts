import type { Denoise, Sampling } from '../contract.js'
import { linearMultistep } from './linear.js'

/** The variance-preserving process whose levels at times 0.001 and 1 are 0.002 and 80. */
const process = (() => {
  const [end, low, high] = [1e-3, Math.log(0.002 ** 2 + 1), Math.log(80 ** 2 + 1)]
  const slope = (2 * (low / end - high)) / (end - 1)
  return { start: high - slope / 2, slope }
})()

/** The time of a noise level. */
function timeOf(sigma: number): number {
  const { start, slope } = process
  return (Math.sqrt(start ** 2 + 2 * slope * Math.log(sigma ** 2 + 1)) - start) / slope
}

/** d sigma / d time. */
function rateAt(time: number): number {
  const { start, slope } = process
  const alphaBar = Math.exp(-(slope * time ** 2) / 2 - start * time)
  return (slope * time + start) / 2 / Math.sqrt(alphaBar * (1 - alphaBar))
}

/** Points of the sum that stands for an integral, and slopes that a step rests on. */
const [points, order] = [10_000, 3]

/**
 * DEIS (Zhang & Chen 2022, "tAB"), third order: the polynomial through the last slopes in the time of a
 * variance-preserving process. Integrals are the original's sums. A last step to a clean image is Euler's.
 *
 * Source: ComfyUI, comfy/k_diffusion/sampling.py, sample_deis, and deis.py.
 */
export function deisInTime(denoise: Denoise, x: Float32Array, sigmas: ArrayLike<number>): Sampling {
  return linearMultistep(denoise, x, sigmas, i => {
    const [from, to] = [sigmas[i]!, sigmas[i + 1]!]
    if (i === 0 || to === 0) return [to - from]
    const knots = Array.from({ length: Math.min(order, i + 1) }, (_, j) => timeOf(sigmas[i - j]!))
    const sums = knots.map(() => 0)
    const [first, way] = [timeOf(from), timeOf(to) - timeOf(from)]
    for (let n = 0; n < points; n++) {
      const time = first + (way * n) / (points - 1)
      const rate = rateAt(time)
      for (const j of knots.keys()) sums[j]! += rate * lagrange(knots, j, time)
    }
    return sums.map(sum => (sum * way) / points)
  })
}

function lagrange(knots: readonly number[], j: number, at: number): number {
  return knots.reduce((product, knot, k) => (k === j ? product : (product * (at - knot)) / (knots[j]! - knot)), 1)
}
