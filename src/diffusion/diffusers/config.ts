import { z } from 'zod'
import { LatentkitError } from '../../platform/errors.js'
import type { Parameterization } from '../snr.js'

const sigmaEnd = z.enum(['zero', 'sigma_min'])
const flag = (value = false) =>
  z
    .boolean()
    .nullish()
    .transform(given => given ?? value)

/** The keys of diffusers' `scheduler_config.json` that have a meaning here, with the defaults most classes share. */
const schema = z.object({
  num_train_timesteps: z.int().min(1).max(1_000_000).default(1000),
  beta_start: z.number().default(0.0001),
  beta_end: z.number().default(0.02),
  beta_schedule: z
    .enum(['linear', 'scaled_linear', 'squaredcos_cap_v2', 'laplace', 'exp', 'sigmoid'])
    .default('linear'),
  trained_betas: z.array(z.number()).nullish(),
  rescale_betas_zero_snr: flag(),
  prediction_type: z
    .enum(['epsilon', 'sample', 'original_sample', 'v_prediction', 'flow_prediction'])
    .default('epsilon'),
  timestep_spacing: z.enum(['leading', 'trailing', 'linspace']).default('linspace'),
  timestep_type: z.enum(['discrete', 'continuous']).default('discrete'),
  interpolation_type: z.enum(['linear', 'log_linear']).default('linear'),
  steps_offset: z.int().default(0),
  clip_sample: flag(),
  clip_sample_range: z.number().default(1),
  thresholding: flag(),
  dynamic_thresholding_ratio: z.number().default(0.995),
  sample_max_value: z.number().default(1),
  set_alpha_to_one: flag(),
  skip_prk_steps: flag(),
  variance_type: z
    .enum(['fixed_small', 'fixed_small_log', 'fixed_large', 'fixed_large_log', 'learned', 'learned_range'])
    .nullish(),
  use_karras_sigmas: flag(),
  use_exponential_sigmas: flag(),
  use_beta_sigmas: flag(),
  use_lu_lambdas: flag(),
  use_flow_sigmas: flag(),
  flow_shift: z.number().default(1),
  final_sigmas_type: sigmaEnd.default('zero'),
  lambda_min_clipped: z.number().default(-Infinity),
  solver_order: z.int().min(1).max(4).default(2),
  algorithm_type: z
    .enum(['dpmsolver', 'dpmsolver++', 'sde-dpmsolver', 'sde-dpmsolver++', 'deis'])
    .default('dpmsolver++'),
  solver_type: z.enum(['midpoint', 'heun', 'bh1', 'bh2', 'logrho']).optional(),
  lower_order_final: flag(true),
  euler_at_final: flag(),
  predict_x0: flag(true),
  disable_corrector: z.array(z.int()).default([]),
  original_inference_steps: z.int().default(50),
  timestep_scaling: z.number().default(10),
  shift: z.number().default(1),
  shift_terminal: z.number().nullish(),
  use_dynamic_shifting: flag(),
  time_shift_type: z.enum(['exponential', 'linear']).default('exponential'),
  invert_sigmas: flag(),
  stochastic_sampling: flag(),
  sigma_min: z.number().nullish(),
  sigma_max: z.number().nullish(),
  sigma_data: z.number().default(0.5),
  sigma_schedule: z.enum(['karras', 'exponential']).default('karras'),
  rho: z.number().default(7),
})

/** A scheduler's configuration in diffusers' own words, complete. */
export type SchedulerConfig = z.infer<typeof schema>

const leading = { timestep_spacing: 'leading' } as const
const stableDiffusionBetas = { beta_start: 0.00085, beta_end: 0.012 } as const
const edm = { sigma_min: 0.002, sigma_max: 80 } as const

/** Where a class's defaults differ from the shared ones. */
const classDefaults = {
  DDIMScheduler: { ...leading, clip_sample: true, set_alpha_to_one: true },
  DDPMScheduler: { ...leading, clip_sample: true, variance_type: 'fixed_small' },
  PNDMScheduler: leading,
  LCMScheduler: { ...leading, ...stableDiffusionBetas, beta_schedule: 'scaled_linear', set_alpha_to_one: true },
  TCDScheduler: { ...leading, ...stableDiffusionBetas, beta_schedule: 'scaled_linear', set_alpha_to_one: true },
  EulerDiscreteScheduler: {},
  EulerAncestralDiscreteScheduler: {},
  HeunDiscreteScheduler: stableDiffusionBetas,
  LMSDiscreteScheduler: {},
  KDPM2DiscreteScheduler: stableDiffusionBetas,
  KDPM2AncestralDiscreteScheduler: stableDiffusionBetas,
  DPMSolverMultistepScheduler: {},
  DPMSolverSinglestepScheduler: { lower_order_final: false },
  UniPCMultistepScheduler: {},
  DEISMultistepScheduler: { algorithm_type: 'deis' },
  FlowMatchEulerDiscreteScheduler: { prediction_type: 'flow_prediction' },
  FlowMatchHeunDiscreteScheduler: { prediction_type: 'flow_prediction' },
  EDMEulerScheduler: edm,
  EDMDPMSolverMultistepScheduler: edm,
} as const

/** The classes that know `rescale_betas_zero_snr`; the others pass over it. */
const rescaling: readonly string[] = [
  'DDIMScheduler',
  'DDPMScheduler',
  'LCMScheduler',
  'TCDScheduler',
  'EulerDiscreteScheduler',
  'EulerAncestralDiscreteScheduler',
  'DPMSolverMultistepScheduler',
  'UniPCMultistepScheduler',
]

/** diffusers' scheduler classes that latentkit knows. */
export type SchedulerName = keyof typeof classDefaults

export function isSchedulerName(name: string): name is SchedulerName {
  return Object.hasOwn(classDefaults, name)
}

/** A class's configuration with its defaults filled in; throws LatentkitError where a value makes no sense. */
export function schedulerConfig(name: SchedulerName, given: Readonly<Record<string, unknown>>): SchedulerConfig {
  const parsed = schema.safeParse({ ...classDefaults[name], ...given })
  if (!parsed.success) {
    throw new LatentkitError(`Cannot use this configuration of ${name}: ${z.prettifyError(parsed.error)}`)
  }
  const { rescale_betas_zero_snr } = parsed.data
  return { ...parsed.data, rescale_betas_zero_snr: rescale_betas_zero_snr && rescaling.includes(name) }
}

/** The parameterization that a `prediction_type` names; throws LatentkitError for flow matching, which has its own. */
export function parameterizationOf({ prediction_type }: SchedulerConfig): Parameterization {
  switch (prediction_type) {
    case 'epsilon':
      return 'epsilon'
    case 'v_prediction':
      return 'v'
    case 'sample':
    case 'original_sample':
      return 'x0'
    case 'flow_prediction':
      throw new LatentkitError('A flow-matching model predicts a velocity, which is no epsilon, v or x0')
  }
}
