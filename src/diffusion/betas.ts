import { linspace } from './linspace.js'

/** A noise schedule in the words of CompVis configs; their `linear` is linear in the square root of beta. */
export interface BetaSchedule {
  /** `linear` = diffusers' `scaled_linear`; `sqrt_linear` = diffusers' `linear`. */
  readonly beta_schedule: 'linear' | 'cosine' | 'sqrt_linear' | 'sqrt'
  readonly timesteps: number
  readonly linear_start?: number
  readonly linear_end?: number
  readonly cosine_s?: number
}

/**
 * The betas of a schedule, one per timestep, in float64.
 *
 * Source: latent-diffusion, ldm/modules/diffusionmodules/util.py, make_beta_schedule (its defaults too).
 *
 * @example makeBetas({ beta_schedule: 'linear', timesteps: 1000, linear_start: 0.00085, linear_end: 0.012 })
 */
export function makeBetas(schedule: BetaSchedule): Float64Array {
  const {
    beta_schedule: name,
    timesteps: n,
    linear_start: start = 1e-4,
    linear_end: end = 2e-2,
    cosine_s: s = 8e-3,
  } = schedule
  if (!Number.isInteger(n) || n < 1) throw new RangeError(`A noise schedule needs one timestep or more, found ${n}`)
  switch (name) {
    case 'linear':
      return linspace(Math.sqrt(start), Math.sqrt(end), n).map(x => x * x)
    case 'sqrt_linear':
      return linspace(start, end, n)
    case 'sqrt':
      return linspace(start, end, n).map(Math.sqrt)
    case 'cosine': {
      // Nichol & Dhariwal 2021, eq. 17. The capped last beta keeps the division by alpha finite.
      const alphaBar = (i: number) => Math.cos(((i / n + s) / (1 + s)) * (Math.PI / 2)) ** 2
      return Float64Array.from({ length: n }, (_, i) => clamp(1 - alphaBar(i + 1) / alphaBar(i), 0, 0.999))
    }
  }
}

function clamp(x: number, low: number, high: number): number {
  return Math.min(Math.max(x, low), high)
}

/** Products of 1 - beta up to each timestep: the share of the image's variance that is left. */
export function cumulativeAlphas(betas: ArrayLike<number>): Float64Array {
  let product = 1
  return Float64Array.from(betas, beta => (product *= 1 - beta))
}
