import type { Noise } from '../contract.js'

/** Noise that a stochastic sampler puts back after each step. */
export interface AncestralOptions {
  readonly noise: Noise
  /** 0: none, 1: as much as ancestral sampling. */
  readonly eta?: number | undefined
  /** Factor of the noise added. */
  readonly noiseScale?: number | undefined
}

const { fround } = Math
const square = (value: number) => fround(value * value)

/**
 * The level to step down to, and the noise that raises it to the next: down^2 + up^2 = to^2. Rounded as torch's float32
 * code rounds it: after a long step nearly all is noise, and the level to step down to is what is left of a difference.
 *
 * Source: k-diffusion, sampling.py, get_ancestral_step.
 */
export function ancestralSplit(from: number, to: number, eta: number): { down: number; up: number } {
  const [a, b] = [square(fround(from)), square(fround(to))]
  const up = Math.min(fround(to), fround(eta * fround(Math.sqrt(fround(fround(b * fround(a - b)) / a)))))
  return { down: fround(Math.sqrt(fround(b - square(up)))), up }
}
