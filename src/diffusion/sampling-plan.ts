import { type SamplingSchedule, type ScheduleOptions, schedules } from './sampling-schedules.js'
import { clean, type Step, type TimedLevel } from './steps.js'

export interface SamplingPlanOptions extends ScheduleOptions {
  readonly steps: number
  /** Where the steps lie; `trailing` also starts right in few steps and where the last timestep holds no signal. */
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
  return lastSteps(stepsBetween(schedules[schedule].levels(alphasCumprod, steps, options)), strength)
}

/** Steps from each level to the next, the last one to a clean image. */
export function stepsBetween(levels: readonly TimedLevel[]): Step[] {
  return levels.map((from, i) => ({ from, to: levels[i + 1] ?? clean }))
}

/** The last part of some steps; throws RangeError where none is left. */
export function lastSteps(steps: readonly Step[], strength: number): Step[] {
  const taken = Math.min(Math.round(steps.length * strength), steps.length)
  if (!(taken >= 1)) {
    throw new RangeError(
      `Cannot start an image at strength ${strength} of ${steps.length} steps: no step would be taken`,
    )
  }
  return steps.slice(steps.length - taken)
}
