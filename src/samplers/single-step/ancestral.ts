import type { Noise } from '../contract.js'

/** Noise that a stochastic sampler puts back after each step. */
export interface AncestralOptions {
  readonly noise: Noise
  /** 0: none, 1: as much as ancestral sampling. */
  readonly eta?: number | undefined
  /** Factor of the noise added. */
  readonly noiseScale?: number | undefined
}

/** The level to step down to, and the noise that raises it to the next: down^2 + up^2 = to^2. */
export function ancestralSplit(from: number, to: number, eta: number): { down: number; up: number } {
  const up = Math.min(to, eta * Math.sqrt((to ** 2 * (from ** 2 - to ** 2)) / from ** 2))
  return { down: Math.sqrt(to ** 2 - up ** 2), up }
}
