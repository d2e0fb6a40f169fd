import { callList } from './diffusers/calls.js'
import type { SchedulerConfig, SchedulerName } from './diffusers/config.js'
import type { SchedulePlan } from './diffusers/plan.js'
import { type Level, levelOfSigma, vpLevel } from './parameterization.js'
import { sigmaOfNoSignal, timeUniformLevels } from './sigmas.js'

/** A level that the network knows by a timestep. */
export interface TimedLevel extends Level {
  readonly t: number
}

/** One step of a variance-preserving sampler: from a level where the network is asked to a cleaner one. */
export interface Step {
  readonly from: TimedLevel
  readonly to: Level
}

/** Image without noise. */
export const clean: Level = { alpha: 1, sigma: 0 }

/**
 * The steps of a CompVis sampler: down the given rising timesteps, the last one to the schedule's first level (not to a
 * clean image). Throws RangeError where a timestep lies beyond the schedule.
 *
 * Source: latent-diffusion, ldm/models/diffusion/ddim.py.
 */
export function compvisSteps(alphasCumprod: ArrayLike<number>, rising: readonly number[]): Step[] {
  const levelAt = (t: number) => timedLevel(alphasCumprod, t)
  const steps = rising.map((t, i) => ({ from: levelAt(t), to: levelAt(i === 0 ? 0 : rising[i - 1]!) }))
  return steps.reverse()
}

/** Steps between levels at equally spaced times, down to the first timestep; from a share of all timesteps on. */
export function timeUniformSteps(alphasCumprod: ArrayLike<number>, steps: number, start?: number): Step[] {
  const levels = timeUniformLevels(alphasCumprod, steps, start).map(({ sigma, t }) => ({
    t,
    ...levelOfSigma(Math.min(sigma, sigmaOfNoSignal)),
  }))
  return levels.slice(1).map((to, i) => ({ from: levels[i]!, to }))
}

/** The steps of ancestral sampling through every timestep of a schedule, down to a clean image. */
export function everyStep(alphasCumprod: ArrayLike<number>): Step[] {
  const n = alphasCumprod.length
  return Array.from({ length: n }, (_, i) => {
    const t = n - 1 - i
    return { from: timedLevel(alphasCumprod, t), to: t === 0 ? clean : timedLevel(alphasCumprod, t - 1) }
  })
}

/**
 * The steps of a diffusers scheduler without noise levels. DDPM, LCM and TCD step to the next timestep of the plan; DDIM
 * and PNDM down by floor(T / steps), whatever the spacing. Below 0 lies a clean image, or the schedule's first level
 * where `set_alpha_to_one` is false; TCD ends at that level always.
 */
export function diffusersSteps(name: SchedulerName, config: SchedulerConfig, plan: SchedulePlan): Step[] {
  const { alphasCumprod, timesteps } = plan
  const toClean = name === 'DDPMScheduler' || (config.set_alpha_to_one && name !== 'TCDScheduler')
  const last = toClean ? clean : vpLevel(alphasCumprod[0]!)
  const stride = Math.floor(config.num_train_timesteps / timesteps.length)
  const down = name === 'DDIMScheduler' || name === 'PNDMScheduler'
  return timesteps.map((t, i) => {
    const next = down ? t - stride : (timesteps[i + 1] ?? -1)
    return { from: timedLevel(alphasCumprod, t), to: next < 0 ? last : vpLevel(alphasCumprod[next]!) }
  })
}

/** A step of four calls (Liu et al. 2022, eq. 13), with the levels that its calls go to and are made at. */
export interface RungeKuttaStep {
  readonly from: TimedLevel
  readonly afterFirst: Level
  readonly middle: TimedLevel
  readonly afterThird: Level
  readonly end: TimedLevel
}

/** The three first steps of a PNDM scheduler that does not skip them. Source: scheduling_pndm.py, step_prk. */
export function rungeKuttaSteps(config: SchedulerConfig, plan: SchedulePlan): RungeKuttaStep[] {
  if (plan.timesteps.length < 4) {
    throw new RangeError(
      `PNDM's first three steps need 4 steps or more, found ${plan.timesteps.length}; skip_prk_steps does without`,
    )
  }
  const { timesteps } = callList('PNDMScheduler', { ...config, skip_prk_steps: false }, plan)
  const half = Math.floor(Math.floor(config.num_train_timesteps / plan.timesteps.length) / 2)
  const level = (t: number) => timedLevel(plan.alphasCumprod, t)
  return [0, 4, 8].map(i => {
    const [from, middle, , end] = timesteps.slice(i, i + 4) as [number, number, number, number]
    return {
      from: level(from),
      afterFirst: level(from - half),
      middle: level(middle),
      afterThird: level(middle - half),
      end: level(end),
    }
  })
}

/** The level of a whole timestep; throws RangeError beyond the schedule. */
export function timedLevel(alphasCumprod: ArrayLike<number>, t: number): TimedLevel {
  const bar = alphasCumprod[t]
  if (bar === undefined) {
    throw new RangeError(
      `Cannot sample at timestep ${t}: the schedule ends at ${alphasCumprod.length - 1}; choose another number of steps`,
    )
  }
  return { t, ...vpLevel(bar) }
}
