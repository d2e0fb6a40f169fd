import type { SchedulerConfig, SchedulerName } from './config.js'
import type { SchedulePlan } from './plan.js'
import { sigmaTable, sigmaToTimestep } from './sigmas.js'

/** The lists that a diffusers scheduler itself holds: one entry per call of the network, more than one for some steps. */
export interface CallList {
  readonly timesteps: readonly number[]
  readonly sigmas: readonly number[] | undefined
}

/** How diffusers lists a plan: `timesteps` and `sigmas` of the class named, as its loops run over them. */
export function callList(name: SchedulerName, config: SchedulerConfig, plan: SchedulePlan): CallList {
  const { timesteps, sigmas } = plan
  const all = sigmas && Array.from(sigmas)
  switch (name) {
    case 'HeunDiscreteScheduler':
    case 'FlowMatchHeunDiscreteScheduler':
      return { timesteps: twiceAfterFirst(timesteps), sigmas: [...twiceAfterFirst(all!.slice(0, -1)), all!.at(-1)!] }
    case 'KDPM2DiscreteScheduler':
    case 'KDPM2AncestralDiscreteScheduler': {
      const table = sigmaTable(plan.alphasCumprod)
      const between = midpoints(name, all!).map(sigma => sigmaToTimestep(table, sigma))
      return {
        timesteps: timesteps.flatMap((t, i) => (i === 0 ? [t] : [between[i - 1]!, t])),
        sigmas: [...twiceAfterFirst(all!), all!.at(-1)!],
      }
    }
    case 'PNDMScheduler':
      return { timesteps: pndmTimesteps(config, timesteps), sigmas: undefined }
    default:
      return { timesteps, sigmas: all }
  }
}

function twiceAfterFirst(list: readonly number[]): number[] {
  return list.flatMap((value, i) => (i === 0 ? [value] : [value, value]))
}

/** Levels half way in log sigma to where each step but the last goes down to. */
function midpoints(name: SchedulerName, sigmas: readonly number[]): number[] {
  return sigmas.slice(0, -2).map((sigma, i) => {
    const next = sigmas[i + 1]!
    const down = name === 'KDPM2AncestralDiscreteScheduler' ? (next * next) / sigma : next
    return Math.sqrt(sigma * down)
  })
}

/** PNDM repeats its second timestep, or makes its first three steps of four calls each. */
function pndmTimesteps(config: SchedulerConfig, falling: readonly number[]): number[] {
  if (config.skip_prk_steps) return [...falling.slice(0, 2), ...falling.slice(1)]
  const half = Math.floor(Math.floor(config.num_train_timesteps / falling.length) / 2)
  // Four timesteps and their half steps up, rising; all but the ends twice, falling.
  const knots = falling
    .slice(0, 4)
    .reverse()
    .flatMap(t => [t, t + half])
  const calls = knots.slice(0, -1).flatMap(t => [t, t])
  return [...calls.slice(1, -1).reverse(), ...falling.slice(3)]
}
