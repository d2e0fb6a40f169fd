import { linspace } from './linspace.js'

/*
 * Curves along which noise levels fall, named as the tools name them that have them: `n` levels from `high` towards
 * `low`, after which the last step goes on.
 */

/** Levels whose arc tangent falls evenly (Sabour et al. 2024, eq. 13: least divergence for Gaussian data). */
export function klOptimalSigmas(n: number, low: number, high: number): number[] {
  return Array.from(linspace(Math.atan(high), Math.atan(low), n), Math.tan)
}

/**
 * The first half of the steps goes down evenly to 0.975 of the highest level, the other half from there to 0 along a
 * parabola (Movie Gen, 2024, section 3.4.2).
 *
 * Source: ComfyUI, comfy/samplers.py, linear_quadratic_schedule.
 */
export function linearQuadraticSigmas(n: number, high: number): number[] {
  const even = Math.floor(n / 2)
  if (even === 0) return [high]
  const threshold = 0.025
  const curved = n - even
  const rest = even - threshold * n
  const [a, b] = [rest / (even * curved ** 2), threshold / even - (2 * rest) / curved ** 2]
  return Array.from({ length: n }, (_, i) => {
    const gone = i < even ? (i * threshold) / even : a * i ** 2 + b * i + a * even ** 2
    return high * (1 - gone)
  })
}

/**
 * Two arc tangents, from the highest level to the mean of both ends and from there to the lowest, steepest at 0.6 of the
 * steps.
 *
 * Source: stable-diffusion.cpp, src/runtime/denoiser.hpp, BongTangentScheduler.
 */
export function tangentSigmas(n: number, low: number, high: number): number[] {
  const points = n + 2
  const pivot = Math.floor(Math.fround(points * Math.fround(0.6)))
  const slope = 8 / points
  const middle = (low + high) / 2
  const falling = (count: number, steepest: number, from: number, to: number) => {
    const curve = Array.from({ length: count }, (_, i) => -Math.atan(slope * (i - steepest)))
    const [first, last] = [curve[0]!, curve.at(-1)!]
    return curve.map(value => (first === last ? from : ((value - last) / (first - last)) * (from - to) + to))
  }
  return [...falling(pivot, pivot, high, middle).slice(0, -1), ...falling(points - pivot, 0, middle, low)].slice(0, n)
}

/** Rises from 0 to 1, flat at both ends. */
export function smoothstep(share: number): number {
  return share ** 2 * (3 - 2 * share)
}
