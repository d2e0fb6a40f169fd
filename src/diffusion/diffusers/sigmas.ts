import { linspace, linspace32 } from '../linspace.js'
import { betaSigmas, interpolatedIndex } from '../sigmas.js'
import type { SchedulerConfig, SchedulerName } from './config.js'

/** Falling noise levels and the timestep of each; the last level is where sampling ends and has no timestep. */
export interface Levels {
  readonly sigmas: Float32Array
  readonly timesteps: readonly number[]
}

/** The noise levels of all timesteps of a schedule, rising, and their logarithms. */
export interface SigmaTable {
  readonly sigmas: Float32Array
  readonly logSigmas: Float32Array
}

export function sigmaTable(alphasCumprod: Float32Array): SigmaTable {
  const sigmas = alphasCumprod.map(bar => Math.sqrt(Math.fround(Math.fround(1 - bar) / bar)))
  return { sigmas, logSigmas: sigmas.map(Math.log) }
}

/** The fractional timestep of a level, interpolated in log sigma. Source: `_sigma_to_t` of the schedulers. */
export function sigmaToTimestep({ logSigmas }: SigmaTable, sigma: number): number {
  return interpolatedIndex(logSigmas, Math.log(Math.max(sigma, 1e-10)))
}

/** Linear interpolation of the table at fractional timesteps, as numpy's `interp`. */
export function sigmasAt({ sigmas }: SigmaTable, timesteps: readonly number[]): number[] {
  const last = sigmas.length - 1
  return timesteps.map(t => {
    const low = Math.min(Math.max(Math.floor(t), 0), last)
    if (t <= 0 || low === last) return sigmas[low]!
    return (sigmas[low + 1]! - sigmas[low]!) * (t - low) + sigmas[low]!
  })
}

type Conversion = 'karras' | 'exponential' | 'beta' | 'lu'

/** Which formula a configuration puts in place of the schedule's own levels. */
export function conversionOf(config: SchedulerConfig): Conversion | undefined {
  if (config.use_karras_sigmas) return 'karras'
  if (config.use_lu_lambdas) return 'lu'
  if (config.use_exponential_sigmas) return 'exponential'
  return config.use_beta_sigmas ? 'beta' : undefined
}

/**
 * `n` falling levels between two: Karras et al. 2022 (eq. 5, rho 7), exponential, quantiles of the beta distribution
 * (Lee et al. 2024), or equally spaced in log SNR (Lu et al. 2022).
 */
export function convertedSigmas(how: Conversion, high: number, low: number, n: number, rho = 7): number[] {
  switch (how) {
    case 'karras': {
      const from = high ** (1 / rho)
      const to = low ** (1 / rho)
      return Array.from(linspace(0, 1, n), ramp => (from + ramp * (to - from)) ** rho)
    }
    // Of the table of float32 logarithms.
    case 'lu':
      return Array.from(linspace(Math.fround(Math.log(high)), Math.fround(Math.log(low)), n), Math.exp)
    case 'exponential':
      return Array.from(linspace(Math.log(high), Math.log(low), n), Math.exp)
    case 'beta':
      return Array.from(betaSigmas(n, low, high))
  }
}

/** Levels of a formula, each with its fractional timestep. */
export function convertedLevels(table: SigmaTable, how: Conversion, high: number, low: number, n: number) {
  const sigmas = convertedSigmas(how, high, low, n)
  return { sigmas, timesteps: sigmas.map(sigma => sigmaToTimestep(table, sigma)) }
}

/** Levels of EDM models, whose timestep is ln(sigma) / 4. Source: scheduling_edm_euler.py. */
export function edmLevels(name: SchedulerName, config: SchedulerConfig, n: number): Levels {
  const { sigma_min, sigma_max, sigma_schedule, rho, final_sigmas_type } = config
  const [low, high] = [sigma_min ?? 0.002, sigma_max ?? 80]
  const sigmas =
    sigma_schedule === 'karras'
      ? convertedSigmas('karras', high, low, n, rho)
      : Array.from(linspace32(Math.log(low), Math.log(high), n), Math.exp).reverse()
  const lowest = name === 'EDMEulerScheduler' ? sigmas.at(-1)! : low
  const all = Float32Array.from([...sigmas, final_sigmas_type === 'sigma_min' ? lowest : 0])
  return { sigmas: all, timesteps: Array.from(all.subarray(0, n), sigma => 0.25 * Math.log(sigma)) }
}

/**
 * Levels of flow matching, from 1 towards 0, shifted towards noise for larger images; the timestep is sigma times the
 * number of training steps. `mu` is the shift that `use_dynamic_shifting` asks for.
 *
 * Source: scheduling_flow_match_euler_discrete.py, set_timesteps.
 */
export function flowLevels(config: SchedulerConfig, n: number, mu: number | undefined): Levels {
  const { num_train_timesteps: train, shift, use_dynamic_shifting, time_shift_type, shift_terminal } = config
  const shifted = (sigma: number) => (shift * sigma) / (1 + (shift - 1) * sigma)
  // The ends of the schedule are shifted once by its constructor, then once more with all levels.
  const ends = [1, 1 / train].map(end => Math.fround(use_dynamic_shifting ? end : shifted(end)))
  let sigmas = Array.from(linspace(ends[0]! * train, ends[1]! * train, n), t => t / train)
  if (use_dynamic_shifting) {
    if (mu === undefined) throw new RangeError('A schedule with dynamic shifting needs the shift mu of the image size')
    const factor = time_shift_type === 'exponential' ? Math.exp(mu) : mu
    sigmas = sigmas.map(sigma => factor / (factor + (1 / sigma - 1)))
  } else sigmas = sigmas.map(shifted)
  if (shift_terminal) {
    const scale = (1 - sigmas.at(-1)!) / (1 - shift_terminal)
    sigmas = sigmas.map(sigma => 1 - (1 - sigma) / scale)
  }
  const how = conversionOf(config)
  if (how) sigmas = convertedSigmas(how, sigmas[0]!, sigmas.at(-1)!, n)
  if (config.invert_sigmas) sigmas = sigmas.map(sigma => 1 - Math.fround(sigma))
  const all = Float32Array.from([...sigmas, config.invert_sigmas ? 1 : 0])
  return { sigmas: all, timesteps: Array.from(all.subarray(0, n), sigma => Math.fround(sigma * train)) }
}
