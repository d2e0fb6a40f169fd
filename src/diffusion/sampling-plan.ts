import { schedulerConfig } from './diffusers/config.js'
import { spacedTimesteps } from './diffusers/spacing.js'
import { discreteSigmas, exponentialSigmas, karrasSigmas } from './sigmas.js'
import { clean, type Step, type TimedLevel, timedLevel } from './steps.js'

/**
 * Where the steps lie: whole timesteps (`trailing` starts at the last, which few steps and zero-terminal-SNR schedules
 * need; `leading` ends at timestep 1 or `linspace` at 0), or noise levels by a formula.
 */
export type SamplingSchedule = 'trailing' | 'leading' | 'linspace' | 'karras' | 'exponential'

export interface SamplingPlanOptions {
  readonly steps: number
  readonly schedule?: SamplingSchedule | undefined
  /** The part of the steps that is taken, from the end: 0.6 starts from an image noised to 60%. */
  readonly strength?: number | undefined
}

/**
 * The steps of a model's schedule, from noise down to a clean image; the first one's `from` is the level to start at.
 *
 * Throws RangeError for a number of steps that the schedule has no room for, and for a strength that leaves no step.
 */
export function samplingPlan(alphasCumprod: ArrayLike<number>, options: SamplingPlanOptions): Step[] {
  const { steps, schedule = 'trailing', strength = 1 } = options
  const taken = Math.min(Math.round(steps * strength), steps)
  if (!(taken >= 1)) {
    throw new RangeError(`Cannot start an image at strength ${strength} of ${steps} steps: no step would be taken`)
  }
  const levels = plannedLevels(alphasCumprod, steps, schedule).slice(steps - taken)
  return levels.map((from, i) => ({ from, to: levels[i + 1] ?? clean }))
}

function plannedLevels(alphasCumprod: ArrayLike<number>, steps: number, schedule: SamplingSchedule): TimedLevel[] {
  if (schedule !== 'karras' && schedule !== 'exponential') {
    const config = schedulerConfig('DDIMScheduler', {
      num_train_timesteps: alphasCumprod.length,
      timestep_spacing: schedule,
      steps_offset: alphasCumprod.length > steps ? 1 : 0,
    })
    return spacedTimesteps(config, steps, 'whole').map(t => timedLevel(alphasCumprod, t))
  }
  const discrete = discreteSigmas(alphasCumprod)
  const [low, high] = [discrete.sigmas[0]!, discrete.sigmas.at(-1)!]
  if (!Number.isFinite(high)) {
    throw new RangeError(
      `A schedule with zero terminal SNR has no highest noise level for ${schedule} steps; use trailing`,
    )
  }
  const sigmas = schedule === 'karras' ? karrasSigmas(steps, low, high) : exponentialSigmas(steps, low, high)
  return Array.from(sigmas.subarray(0, steps), sigma => {
    const alpha = 1 / Math.sqrt(sigma * sigma + 1)
    return { t: discrete.sigmaToT(sigma), alpha, sigma: sigma * alpha }
  })
}
