import { alignedLevels } from './align-your-steps.js'
import { betaQuantile } from './beta-quantile.js'
import { ddimTimesteps } from './ddim-steps.js'
import { schedulerConfig } from './diffusers/config.js'
import { spacedTimesteps } from './diffusers/spacing.js'
import { gitsLevels } from './gits.js'
import { klOptimalSigmas, linearQuadraticSigmas, smoothstep, tangentSigmas } from './level-curves.js'
import { linspace32, roundHalfEven } from './linspace.js'
import { levelOfSigma } from './parameterization.js'
import { discreteSigmas, exponentialSigmas, karrasSigmas, polyexponentialSigmas, sigmaOfNoSignal } from './sigmas.js'
import { type TimedLevel, timedLevel } from './steps.js'

/** What a schedule by formula may be told; the timesteps of a model have no such choices. */
export interface ScheduleOptions {
  /** Exponent of `karras` (default 7) and `polyexponential` (default 1). */
  readonly rho?: number | undefined
  /** Lowest and highest noise level of schedules by formula; the model's own by default. */
  readonly sigmaMin?: number | undefined
  readonly sigmaMax?: number | undefined
}

/** Falling levels at which the network is asked, about as many as steps; the last step goes on to a clean image. */
export type Levels = (alphasCumprod: ArrayLike<number>, steps: number, options: ScheduleOptions) => TimedLevel[]

interface Schedule {
  /** Its name for people. */
  readonly label: string
  readonly levels: Levels
}

/** Levels at timesteps, whole or between two; sound where the last timestep holds no signal. */
function atTimesteps(timesteps: (steps: number, trained: number) => readonly number[]): Levels {
  return (alphasCumprod, steps) => {
    const discrete = discreteSigmas(alphasCumprod)
    return timesteps(checkSteps(steps, alphasCumprod.length), alphasCumprod.length).map(t =>
      Number.isInteger(t)
        ? timedLevel(alphasCumprod, t)
        : { t, ...levelOfSigma(Math.min(discrete.tToSigma(t), sigmaOfNoSignal)) },
    )
  }
}

/** Levels by a formula between the lowest and the highest; the timesteps are those of the levels. */
export function levelsByFormula(
  sigmas: (steps: number, low: number, high: number, options: ScheduleOptions) => ArrayLike<number>,
): Levels {
  return (alphasCumprod, steps, options) => {
    const discrete = discreteSigmas(alphasCumprod)
    const { sigmaMin: low = discrete.sigmas[0]!, sigmaMax: high = discrete.sigmas.at(-1)! } = options
    if (!Number.isFinite(high)) {
      throw new RangeError(
        'A schedule with zero terminal SNR has no highest noise level for steps by formula; use trailing or set sigmaMax',
      )
    }
    if (!(low > 0 && low < high)) {
      throw new RangeError(`Cannot place steps from noise level ${high} down to ${low}: it must be lower, and above 0`)
    }
    return Array.from(sigmas(checkSteps(steps, mostByFormula), low, high, options))
      .slice(0, steps)
      .map(sigma => ({ t: discrete.sigmaToT(sigma), ...levelOfSigma(sigma) }))
  }
}

/** diffusers' spacings, with the offset by 1 that its Stable Diffusion configurations have. */
function spaced(timestep_spacing: 'trailing' | 'leading' | 'linspace'): Levels {
  return atTimesteps((steps, trained) => {
    const steps_offset = trained > steps ? 1 : 0
    const config = schedulerConfig('DDIMScheduler', { num_train_timesteps: trained, timestep_spacing, steps_offset })
    return spacedTimesteps(config, steps, 'whole')
  })
}

const original = (method: 'uniform' | 'quad') =>
  atTimesteps((steps, trained) => ddimTimesteps(method, steps, trained).reverse())

/**
 * Where the steps of a sampler may lie, by their names in commands and configurations. Sources beside those of the functions:
 * ComfyUI, comfy/samplers.py (simple, normal, SGM uniform, DDIM uniform, beta).
 */
export const schedules = {
  trailing: { label: 'Trailing: from the last timestep', levels: spaced('trailing') },
  leading: { label: 'Leading: down to timestep 1', levels: spaced('leading') },
  linspace: { label: 'Linspace: from the last timestep to the first', levels: spaced('linspace') },
  uniform: { label: "Uniform: DDIM's, of latent-diffusion", levels: original('uniform') },
  quadratic: { label: "Quadratic: DDIM's, denser at little noise", levels: original('quad') },
  ddim_uniform: {
    label: 'DDIM uniform: those of the uniform ones that the model has',
    levels: atTimesteps((steps, trained) =>
      ddimTimesteps('uniform', steps, trained)
        .filter(t => t < trained)
        .reverse(),
    ),
  },
  simple: {
    label: 'Simple: every k-th timestep from the last',
    levels: atTimesteps((steps, trained) =>
      Array.from({ length: steps }, (_, i) => trained - 1 - Math.floor(i * (trained / steps))),
    ),
  },
  normal: {
    label: "Normal: k-diffusion's, equal in time from the last timestep to the first",
    levels: atTimesteps((steps, trained) => Array.from(linspace32(trained - 1, 0, steps))),
  },
  sgm_uniform: {
    label: 'SGM uniform: equal in time, and the first timestep left out',
    levels: atTimesteps((steps, trained) => Array.from(linspace32(trained - 1, 0, steps + 1)).slice(0, -1)),
  },
  beta: {
    label: 'Beta: timesteps by the beta distribution (Lee et al. 2024)',
    levels: atTimesteps((steps, trained) => [
      ...new Set(
        Array.from({ length: steps }, (_, i) => roundHalfEven(betaQuantile(1 - i / steps, 0.6) * (trained - 1))),
      ),
    ]),
  },
  smoothstep: {
    label: 'Smoothstep: timesteps denser at both ends',
    levels: atTimesteps((steps, trained) =>
      Array.from({ length: steps }, (_, i) => Math.round(smoothstep(1 - i / steps) * (trained - 1))),
    ),
  },
  karras: {
    label: 'Karras: equal in sigma^(1/7) (Karras et al. 2022)',
    levels: levelsByFormula((n, low, high, { rho }) => karrasSigmas(n, low, high, rho)),
  },
  exponential: { label: 'Exponential: equal in log sigma', levels: levelsByFormula(exponentialSigmas) },
  polyexponential: {
    label: 'Polyexponential: a power in log sigma',
    levels: levelsByFormula((n, low, high, { rho }) => polyexponentialSigmas(n, low, high, rho)),
  },
  kl_optimal: { label: 'KL optimal: equal in the arc tangent of sigma', levels: levelsByFormula(klOptimalSigmas) },
  linear_quadratic: {
    label: 'Linear-quadratic: evenly at first, then along a parabola',
    levels: levelsByFormula((n, _, high) => linearQuadraticSigmas(n, high)),
  },
  bong_tangent: { label: 'Tangent: along two arc tangents', levels: levelsByFormula(tangentSigmas) },
  ays: { label: 'Align Your Steps, Stable Diffusion 1', levels: levelsByFormula(n => alignedLevels('sd1', n)) },
  ays_sdxl: { label: 'Align Your Steps, SDXL', levels: levelsByFormula(n => alignedLevels('sdxl', n)) },
  gits: { label: 'GITS: where trajectories of Stable Diffusion bend', levels: levelsByFormula(gitsLevels) },
  ays_svd: { label: 'Align Your Steps, Stable Video Diffusion', levels: levelsByFormula(n => alignedLevels('svd', n)) },
} satisfies Record<string, Schedule>

/** Name of a schedule in `schedules`. */
export type SamplingSchedule = keyof typeof schedules

/** Far above what any sampler gains from: a setting from outside cannot ask for more memory than there is. */
const mostByFormula = 10_000

function checkSteps(steps: number, most: number): number {
  if (Number.isInteger(steps) && steps >= 1 && steps <= most) return steps
  throw new RangeError(`Cannot sample in ${steps} steps: choose 1 to ${most}`)
}
