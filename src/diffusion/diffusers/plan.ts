import { linspace, roundHalfEven } from '../linspace.js'
import { diffusersAlphasCumprod } from './alphas.js'
import type { SchedulerConfig, SchedulerName } from './config.js'
import {
  conversionOf,
  convertedLevels,
  convertedSigmas,
  edmLevels,
  flowLevels,
  type Levels,
  type SigmaTable,
  sigmasAt,
  sigmaTable,
} from './sigmas.js'
import { type Spacing, spacedTimesteps } from './spacing.js'

/** What `set_timesteps` of a diffusers scheduler makes of a configuration and a number of steps. */
export interface SchedulePlan {
  /** Cumulative alphas of all training timesteps; empty where noise levels have none (EDM, flow matching). */
  readonly alphasCumprod: Float32Array
  /** Falling timesteps, one per step. */
  readonly timesteps: readonly number[]
  /**
   * Falling noise levels from the first step's to where the last one ends: of sigma / alpha, or of the flow. Euler's with
   * `log_linear` hold one more, which is never reached. None where the scheduler has none.
   */
  readonly sigmas: Float32Array | undefined
  /** What unit normals are multiplied by to start. */
  readonly initNoiseSigma: number
}

/** What a plan hangs on beside configuration and steps. */
export interface PlanOptions {
  /** Shift of a schedule with `use_dynamic_shifting`. */
  readonly mu?: number
  /** Steps that a consistency model was distilled from; LCM's configuration says how many by default. */
  readonly originalInferenceSteps?: number
  /** The part of an image that is noised (image to image), for LCM's timesteps. */
  readonly strength?: number
}

/** Source: `set_timesteps` and `init_noise_sigma` of the class named. */
export function schedulePlan(
  name: SchedulerName,
  config: SchedulerConfig,
  steps: number,
  options: PlanOptions = {},
): SchedulePlan {
  switch (name) {
    case 'DDIMScheduler':
    case 'DDPMScheduler':
    case 'PNDMScheduler':
      return wholePlan(config, spacedTimesteps(config, steps, 'whole'))
    case 'LCMScheduler':
    case 'TCDScheduler':
      return wholePlan(config, distilledTimesteps(name, config, steps, options))
    case 'EDMEulerScheduler':
    case 'EDMDPMSolverMultistepScheduler': {
      const start = Math.sqrt((config.sigma_max ?? 80) ** 2 + 1)
      return levelsPlan(edmLevels(name, config, steps), start)
    }
    case 'FlowMatchEulerDiscreteScheduler':
    case 'FlowMatchHeunDiscreteScheduler':
      return levelsPlan(flowLevels(config, steps, options.mu), 1)
    case 'DPMSolverMultistepScheduler':
    case 'DPMSolverSinglestepScheduler':
    case 'UniPCMultistepScheduler':
    case 'DEISMultistepScheduler':
      return solverPlan(name, config, steps, options)
    default:
      return eulerPlan(name, config, steps)
  }
}

function wholePlan(config: SchedulerConfig, timesteps: readonly number[]): SchedulePlan {
  return { alphasCumprod: diffusersAlphasCumprod(config), timesteps, sigmas: undefined, initNoiseSigma: 1 }
}

function levelsPlan({ sigmas, timesteps }: Levels, initNoiseSigma: number): SchedulePlan {
  return { alphasCumprod: new Float32Array(0), timesteps, sigmas, initNoiseSigma }
}

/**
 * Every k-th of the timesteps that a model was distilled at. TCD takes any timestep where it is told of how many.
 * Source: scheduling_lcm.py, scheduling_tcd.py.
 */
function distilledTimesteps(
  name: SchedulerName,
  config: SchedulerConfig,
  steps: number,
  { originalInferenceSteps, strength = 1 }: PlanOptions,
): number[] {
  const any = name === 'TCDScheduler' && originalInferenceSteps !== undefined
  const original = any ? config.num_train_timesteps : (originalInferenceSteps ?? config.original_inference_steps)
  const stride = Math.floor(config.num_train_timesteps / original)
  const trained = Array.from({ length: Math.floor(original * strength) }, (_, i) => (i + 1) * stride - 1)
  if (steps > trained.length) {
    throw new RangeError(`Cannot sample in ${steps} steps: this model was distilled at ${trained.length} timesteps`)
  }
  trained.reverse()
  return Array.from({ length: steps }, (_, i) => trained[Math.floor(i * (trained.length / steps))]!)
}

/** A last cumulative alpha that keeps sigma finite where the SNR is rescaled to zero: 2^-24, f16's smallest number. */
function finiteAlphas(config: SchedulerConfig): Float32Array {
  const alphas = diffusersAlphasCumprod(config)
  if (config.rescale_betas_zero_snr) alphas[alphas.length - 1] = 2 ** -24
  return alphas
}

/** Euler, Heun, LMS and DPM2: fractional timesteps, levels interpolated linearly in sigma. */
function eulerPlan(name: SchedulerName, config: SchedulerConfig, steps: number): SchedulePlan {
  const alphasCumprod = finiteAlphas(config)
  const table = sigmaTable(alphasCumprod)
  let timesteps: readonly number[] = spacedTimesteps(config, steps, 'fractional')
  // Levels equal in log sigma are one more than steps there, so that the last step ends at the lowest of them.
  const logLinear = name === 'EulerDiscreteScheduler' && config.interpolation_type === 'log_linear'
  let sigmas: readonly number[] = logLinear
    ? convertedSigmas('exponential', table.sigmas.at(-1)!, table.sigmas[0]!, steps + 1)
    : sigmasAt(table, timesteps)
  const how = name === 'EulerAncestralDiscreteScheduler' ? undefined : conversionOf(config)
  if (how) {
    const own = name === 'EulerDiscreteScheduler' ? config : { sigma_max: null, sigma_min: null }
    const [high, low] = [own.sigma_max ?? sigmas[0]!, own.sigma_min ?? sigmas.at(-1)!]
    ;({ sigmas, timesteps } = convertedLevels(table, how, high, low, steps))
    if (how === 'karras' && name.startsWith('KDPM2')) timesteps = timesteps.map(roundHalfEven)
  }
  const lowest = name === 'EulerDiscreteScheduler' && config.final_sigmas_type === 'sigma_min' ? table.sigmas[0]! : 0
  const all = Float32Array.from([...sigmas, lowest])
  const ofLogSigma = config.timestep_type === 'continuous' && config.prediction_type === 'v_prediction'
  if (ofLogSigma) timesteps = Array.from(all.subarray(0, -1), sigma => 0.25 * Math.log(sigma))
  const highest = all.reduce((a, b) => Math.max(a, b))
  return {
    alphasCumprod,
    timesteps,
    sigmas: all,
    initNoiseSigma: config.timestep_spacing === 'leading' ? hypotenuse32(highest) : highest,
  }
}

/** sqrt(sigma^2 + 1) with every step in float32. */
function hypotenuse32(sigma: number): number {
  return Math.fround(Math.sqrt(Math.fround(Math.fround(sigma * sigma) + 1)))
}

/** DPM-Solver, UniPC and DEIS: whole timesteps, a start of unit variance. */
function solverPlan(name: SchedulerName, config: SchedulerConfig, steps: number, { mu }: PlanOptions): SchedulePlan {
  const alphasCumprod = finiteAlphas(config)
  const table = sigmaTable(alphasCumprod)
  const levels = solverLevels(name, config, steps, table, mu)
  // The network is told whole timesteps: rounded for Karras levels, cut off for the others.
  const timesteps = levels.timesteps.map(Math.trunc)
  const { sigmas } = levels
  const all = Float32Array.from([...sigmas, lastSigma(name, config, levels, table)])
  return { alphasCumprod, timesteps, sigmas: all, initNoiseSigma: 1 }
}

interface SolverLevels {
  readonly sigmas: readonly number[]
  readonly timesteps: readonly number[]
  /** Whether they come from the schedule itself and not from a formula. */
  readonly own: boolean
}

function solverLevels(
  name: SchedulerName,
  config: SchedulerConfig,
  steps: number,
  table: SigmaTable,
  mu?: number,
): SolverLevels {
  const how = conversionOf(config)
  if (how) {
    const high = config.sigma_max ?? table.sigmas.at(-1)!
    const { sigmas, timesteps } = convertedLevels(table, how, high, config.sigma_min ?? table.sigmas[0]!, steps)
    const keepsFractions = name === 'DPMSolverMultistepScheduler' && config.beta_schedule === 'squaredcos_cap_v2'
    const rounds = (how === 'karras' || how === 'lu') && !keepsFractions
    return { sigmas, timesteps: rounds ? timesteps.map(roundHalfEven) : timesteps, own: false }
  }
  if (config.use_flow_sigmas) {
    const shift = config.use_dynamic_shifting && mu !== undefined ? Math.exp(mu) : config.flow_shift
    const train = config.num_train_timesteps
    const even = linspace(1, 1 / train, steps + 1)
    // UniPC spaces the levels from 1 down, the others 1 - level; the first would be an image without signal.
    const unipc = name === 'UniPCMultistepScheduler'
    const sigmas = Array.from({ length: steps }, (_, i) => (unipc ? even[i]! : 1 - even[steps - i]!)).map(
      sigma => (shift * sigma) / (1 + (shift - 1) * sigma),
    )
    if (unipc && Math.abs(sigmas[0]! - 1) < 1e-6) sigmas[0]! -= 1e-6
    return { sigmas, timesteps: sigmas.map(sigma => sigma * train), own: false }
  }
  const timesteps = solverTimesteps(name, config, steps, table)
  return { sigmas: sigmasAt(table, timesteps), timesteps, own: true }
}

function solverTimesteps(
  name: SchedulerName,
  config: SchedulerConfig,
  steps: number,
  { logSigmas }: SigmaTable,
): number[] {
  const spacing: Spacing = 'solver'
  // Timesteps whose log SNR (half of it: -log sigma) lies below the limit are left out.
  const clipped = logSigmas.filter(logSigma => -logSigma < config.lambda_min_clipped).length
  const last = config.num_train_timesteps - clipped
  if (name === 'DPMSolverSinglestepScheduler') {
    return spacedTimesteps({ ...config, timestep_spacing: 'linspace' }, steps, spacing, last)
  }
  return spacedTimesteps(config, steps, spacing, name === 'DPMSolverMultistepScheduler' ? last : undefined)
}

function lastSigma(
  name: SchedulerName,
  config: SchedulerConfig,
  { sigmas, own }: SolverLevels,
  table: SigmaTable,
): number {
  if (name === 'DEISMultistepScheduler') return own ? table.sigmas[0]! : sigmas.at(-1)!
  if (config.final_sigmas_type === 'zero') return 0
  return name === 'UniPCMultistepScheduler' && !own ? sigmas.at(-1)! : table.sigmas[0]!
}
