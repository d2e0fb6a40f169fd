import { discreteSigmas, type Level, type Levels, levelOfSigma, type Step } from '../../diffusion/index.js'
import type { SamplerRules, Started, WayRequest } from './profile.js'

/** The steps of a tool built on k-diffusion: down the levels of a schedule to a clean image. */
export function kDiffusionSteps(
  { alphasCumprod, steps, ...options }: WayRequest,
  { discard, open }: SamplerRules,
  levels: Levels,
): Step[] {
  const all = levels(alphasCumprod, steps + (discard ? 1 : 0), options)
  const taken = discard ? all.slice(0, -1) : all
  const lowest = taken.at(-1)!
  // k-diffusion's batches are image + sigma noise: with an image whole, whatever its noise.
  const end = { alpha: 1, sigma: open ? lowest.sigma / lowest.alpha : 0 }
  return taken.map((from, i) => ({ from, to: taken[i + 1] ?? end }))
}

/** The same steps, the last of which ends at another level. */
export const endingAt = (steps: readonly Step[], to: Level): Step[] =>
  steps.map((step, i) => (i === steps.length - 1 ? { ...step, to } : step))

/** Noise alone at the first level, as k-diffusion starts: the unit of variance that the image would add is not made up. */
export const fromNoiseAlone = (steps: readonly Step[]): Started => ({ steps, startScale: steps[0]?.from.sigma ?? 1 })

/**
 * The levels of timesteps as k-diffusion and ComfyUI find them, whole ones too: by way of a table of logarithms, to the
 * last digit, at which a Brownian path is asked (k-diffusion, external.py, DiscreteSchedule.t_to_sigma).
 */
export const throughLogarithms =
  (levels: Levels): Levels =>
  (alphasCumprod, steps, options) => {
    const { tToSigma } = discreteSigmas(alphasCumprod)
    return levels(alphasCumprod, steps, options).map(level => {
      const sigma = tToSigma(level.t)
      return Number.isFinite(sigma) ? { t: level.t, ...levelOfSigma(sigma) } : level
    })
  }

/** Steps at whose levels the network is told the nearest whole timestep. */
export function toWholeTimesteps(steps: readonly Step[], alphasCumprod: ArrayLike<number>): Step[] {
  const { sigmaToT } = discreteSigmas(alphasCumprod)
  return steps.map(({ from, to }) => ({
    from: Number.isInteger(from.t) ? from : { ...from, t: sigmaToT(from.sigma / from.alpha, true) },
    to,
  }))
}
