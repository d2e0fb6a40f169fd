import { callList } from './diffusers/calls.js'
import type { SchedulerConfig, SchedulerName } from './diffusers/config.js'
import type { SchedulePlan } from './diffusers/plan.js'
import type { Level } from './parameterization.js'
import { compvisSteps, type Step, type TimedLevel, timedLevel } from './steps.js'

/** Where the way from an image to another begins. */
export interface CompvisStart {
  /** The level that the image is noised to: one above the first step, as in the original. */
  readonly level: TimedLevel
  readonly steps: readonly Step[]
}

/**
 * How Stable Diffusion's own img2img starts: int(strength * steps) DDIM steps are taken.
 *
 * Throws RangeError where strength 1 leads beyond the table (there an IndexError).
 * Source: stable-diffusion, scripts/img2img.py; ddim.py, stochastic_encode and decode.
 */
export function compvisStart(
  alphasCumprod: ArrayLike<number>,
  rising: readonly number[],
  { steps, strength }: { steps: number; strength: number },
): CompvisStart {
  const taken = Math.floor(strength * steps)
  const noisedTo = rising[taken]
  if (noisedTo === undefined) {
    throw new RangeError(
      `Cannot start from an image at strength ${strength}: step ${taken} lies beyond the last of ${rising.length}; choose a smaller strength`,
    )
  }
  return { level: timedLevel(alphasCumprod, noisedTo), steps: compvisSteps(alphasCumprod, rising.slice(0, taken)) }
}

export interface DiffusersStart {
  /** Timesteps that are left, one for each call of the network. */
  readonly timesteps: readonly number[]
  readonly stepsLeft: number
  /** How the scheduler noises the image for the first of them; undefined where no step is left. */
  readonly level: Level | undefined
}

/** How diffusers' img2img starts. Source: pipeline_stable_diffusion_img2img.py, get_timesteps; `add_noise` of the class named. */
export function diffusersStart(
  name: SchedulerName,
  config: SchedulerConfig,
  plan: SchedulePlan,
  strength: number,
): DiffusersStart {
  const steps = plan.timesteps.length
  const stepsLeft = Math.min(Math.floor(steps * strength), steps)
  const calls = callList(name, config, plan)
  const callsPerStep = /Heun|KDPM2/.test(name) ? 2 : 1
  const first = (steps - stepsLeft) * callsPerStep
  const timesteps = calls.timesteps.slice(first)
  return { timesteps, stepsLeft, level: timesteps.length === 0 ? undefined : levelOfCall(name, config, plan, first) }
}

function levelOfCall(name: SchedulerName, config: SchedulerConfig, plan: SchedulePlan, call: number): Level {
  const calls = callList(name, config, plan)
  const sigma = calls.sigmas?.[call]
  if (sigma === undefined) return timedLevel(plan.alphasCumprod, calls.timesteps[call]!)
  if (name.startsWith('FlowMatch') || config.use_flow_sigmas) return { alpha: 1 - sigma, sigma }
  const unitVariance = /^(DPMSolver|UniPC|DEIS)/.test(name)
  if (!unitVariance) return { alpha: 1, sigma }
  const alpha = 1 / Math.sqrt(sigma * sigma + 1)
  return { alpha, sigma: sigma * alpha }
}
