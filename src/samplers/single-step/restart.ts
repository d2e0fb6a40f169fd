import { karrasSigmas } from '../../diffusion/index.js'
import type { Denoise, Noise, Sampling } from '../contract.js'
import { withNoise } from '../model.js'
import { heun } from './heun.js'

/** A stretch of noise levels that is gone through again. */
export interface RestartStretch {
  /** Levels that its ends are near to. */
  readonly from: number
  readonly to: number
  readonly steps: number
  readonly times: number
}

export interface RestartOptions {
  readonly noise: Noise
  readonly stretches: readonly RestartStretch[]
  /** Factor of the noise added. */
  readonly noiseScale?: number | undefined
}

/**
 * Restart sampling (Xu et al. 2023, algorithm 1) with Heun's method: where the levels pass the end of a stretch, noise
 * leads back to its start, from where it is gone through again in levels of Karras et al.
 *
 * Source: AUTOMATIC1111, modules/sd_samplers_extra.py, restart_sampler.
 */
export async function* restart(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  { noise, stretches, noiseScale = 1 }: RestartOptions,
): Sampling {
  const levels = Array.from(sigmas)
  const again = new Map(stretches.map(stretch => [nearest(levels, stretch.to), stretch]))
  for (let i = 1; i < levels.length; i++) {
    for await (const step of heun(denoise, x, [levels[i - 1]!, levels[i]!])) {
      x = step.x
      yield step
    }
    const stretch = again.get(i)
    if (!stretch) continue
    const [low, top] = [levels[i]!, levels[nearest(levels, stretch.from)]!]
    if (top <= low) continue
    const way = karrasSigmas(stretch.steps, low, top).subarray(0, -1)
    for (let time = 0; time < stretch.times; time++) {
      x = withNoise(x, noiseScale * Math.sqrt(way[0]! ** 2 - low ** 2), noise(low, way[0]!))
      for await (const step of heun(denoise, x, way)) {
        x = step.x
        yield step
      }
    }
  }
}

/**
 * Levels and a stretch from 2 to 0.1 that together take as many steps as the given levels have: one round of nine from
 * 20 steps on, two of a quarter each from 36 on, none below 20. Source: the same.
 */
export function restartPlan(sigmas: ArrayLike<number>): { sigmas: ArrayLike<number>; stretches: RestartStretch[] } {
  const steps = sigmas.length - 1
  if (steps < 20) return { sigmas, stretches: [] }
  const [extra, times] = steps >= 36 ? [Math.floor(steps / 4), 2] : [9, 1]
  return {
    sigmas: karrasSigmas(steps - extra * times, sigmas[steps - 1]!, sigmas[0]!),
    stretches: [{ from: 2, to: 0.1, steps: extra + 1, times }],
  }
}

function nearest(levels: readonly number[], value: number): number {
  let best = 0
  for (const [i, level] of levels.entries()) if (Math.abs(level - value) < Math.abs(levels[best]! - value)) best = i
  return best
}
