import { z } from 'zod'
import { FileError } from '../../platform/errors.js'

/** The names differ: CompVis' linear is diffusers' scaled_linear. */
const betaSchedules = { scaled_linear: 'linear', linear: 'sqrt_linear', squaredcos_cap_v2: 'cosine' } as const
const predictions = { epsilon: 'epsilon', v_prediction: 'v', sample: 'x0' } as const

const schedulerSchema = z.object({
  num_train_timesteps: z.int().positive().max(100_000).default(1000),
  beta_start: z.number().positive().lt(1).default(1e-4),
  beta_end: z.number().positive().lt(1).default(2e-2),
  beta_schedule: z.enum(['scaled_linear', 'linear', 'squaredcos_cap_v2']).default('linear'),
  prediction_type: z.enum(['epsilon', 'v_prediction', 'sample']).default('epsilon'),
  rescale_betas_zero_snr: z.boolean().nullish(),
  trained_betas: z.null().optional(),
})

/** The noise schedule of a scheduler_config.json in CompVis' words; a FileError names what they cannot say. */
export function scheduleFromDiffusers(json: unknown, file: string): Record<string, unknown> {
  const parsed = schedulerSchema.safeParse(json)
  if (!parsed.success)
    throw new FileError(file, `cannot be used as the config of a noise schedule: ${z.prettifyError(parsed.error)}`)
  const { num_train_timesteps, beta_start, beta_end, beta_schedule, prediction_type, rescale_betas_zero_snr } =
    parsed.data
  return {
    parameterization: predictions[prediction_type],
    timesteps: num_train_timesteps,
    beta_schedule: betaSchedules[beta_schedule],
    linear_start: beta_start,
    linear_end: beta_end,
    // A network that predicts noise cannot begin without any signal; there it is a sampler's matter.
    ...(rescale_betas_zero_snr && prediction_type !== 'epsilon' && { zero_terminal_snr: true }),
  }
}

/** What of a noise schedule diffusers can say. */
interface Schedule {
  readonly parameterization: string
  readonly timesteps: number
  readonly beta_schedule: string
  readonly linear_start: number
  readonly linear_end: number
  readonly cosine_s: number
  readonly zero_terminal_snr: boolean
}

const keyOf = (table: Readonly<Record<string, string>>, value: string): string | undefined =>
  Object.keys(table).find(key => table[key] === value)

/**
 * The scheduler_config.json of a noise schedule: DDIM as CompVis has it, which ends at the first training step and counts
 * them from 1.
 *
 * Throws RangeError where diffusers has no word for it.
 */
export function scheduleToDiffusers(given: Schedule): Record<string, unknown> {
  const { beta_schedule, parameterization, timesteps, linear_start, linear_end, cosine_s, zero_terminal_snr } = given
  const [schedule, prediction] = [keyOf(betaSchedules, beta_schedule), keyOf(predictions, parameterization)]
  if (schedule === undefined || prediction === undefined || cosine_s !== 8e-3)
    throw new RangeError(
      `diffusers has no schedule for ${beta_schedule} (cosine_s ${cosine_s}) and ${parameterization}`,
    )
  return {
    _class_name: 'DDIMScheduler',
    beta_start: linear_start,
    beta_end: linear_end,
    beta_schedule: schedule,
    clip_sample: false,
    num_train_timesteps: timesteps,
    prediction_type: prediction,
    ...(zero_terminal_snr && { rescale_betas_zero_snr: true }),
    set_alpha_to_one: false,
    steps_offset: 1,
    timestep_spacing: zero_terminal_snr ? 'trailing' : 'leading',
  }
}
