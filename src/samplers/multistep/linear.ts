import { combine } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { slope } from '../model.js'

/** What the slopes at the last levels, newest first, weigh in the step from level i to the next. */
export type SlopeWeights = (i: number) => readonly number[]

/**
 * A linear multistep method over noise levels: x moves along a weighted sum of the last slopes. What tells these methods
 * apart are the weights; the slope alone, times the length of the step, makes Euler's.
 */
export async function* linearMultistep(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  weights: SlopeWeights,
): Sampling {
  let slopes: Float32Array[] = []
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const x0 = await denoise(x, sigmas[i]!)
    const own = weights(i)
    slopes = [slope(x, x0, sigmas[i]!), ...slopes]
    for (const [j, weight] of own.entries()) x = combine(1, x, weight, slopes[j]!)
    // No step rests on more than one slope more than the step before.
    slopes.length = own.length
    yield { x, x0 }
  }
}

/** The weights of Adams and Bashforth for steps of one length, by how many slopes there are. */
export const adamsBashforth: readonly (readonly number[])[] = [
  [1],
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
]
