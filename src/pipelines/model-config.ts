import { z } from 'zod'
import { firstStageConfig, firstStageFactor, latentChannels } from '../autoencoder/config.js'
import { type ConditioningConfig, conditioningConfig, reachOf } from '../conditioning/index.js'
import { type UnetConfig, unetConfig } from '../unet/config.js'
import { contextWidth } from '../unet/unet.js'

const count = z.int().positive()
const perChannel = z.union([z.number(), z.array(z.number()).min(1)])

/** The noise schedule and what the network predicts, in the words of CompVis/latent-diffusion, `ddpm.py`. */
export const diffusionConfig = z
  .strictObject({
    parameterization: z
      .enum(['epsilon', 'x0', 'v', 'flow'])
      .default('epsilon')
      .describe('what the network predicts; flow: the velocity of a rectified flow, which has no betas'),
    timesteps: count.max(100_000).default(1000),
    beta_schedule: z.enum(['linear', 'cosine', 'sqrt_linear', 'sqrt']).default('linear'),
    linear_start: z.number().positive().lt(1).default(1e-4),
    linear_end: z.number().positive().lt(1).default(2e-2),
    cosine_s: z.number().positive().default(8e-3),
    zero_terminal_snr: z
      .boolean()
      .default(false)
      .describe('the schedule is stretched to end without any signal (Lin et al. 2023)'),
  })
  .refine(
    ({ parameterization, zero_terminal_snr }) => !zero_terminal_snr || !['epsilon', 'flow'].includes(parameterization),
    {
      path: ['zero_terminal_snr'],
      message:
        'needs a network that predicts v or x0: noise says nothing of the image where there is no signal, and a flow ends there anyway',
    },
  )

const wholeModel = z
  .strictObject({
    first_stage_config: firstStageConfig,
    scale_factor: perChannel.default(1),
    shift_factor: perChannel.default(0),
    unet_config: unetConfig.optional(),
    conditioning: conditioningConfig.optional().describe('what it is conditioned on; without it, on nothing'),
    diffusion: diffusionConfig.optional(),
  })
  .superRefine((config, { addIssue }) => {
    const channels = latentChannels(config.first_stage_config)
    const problem = (path: string[], message: string) => addIssue({ code: 'custom', path, message })
    for (const name of ['scale_factor', 'shift_factor'] as const) {
      const value = config[name]
      if (Array.isArray(value) && value.length !== channels)
        problem([name], `has ${value.length} entries, the latents have ${channels} channels`)
    }
    if (config.unet_config === undefined) return
    checkReach(config.unet_config, config.conditioning, channels, problem)
    if (typeof config.unet_config.image_size !== 'number')
      problem(['unet_config', 'image_size'], 'give the size of the latents')
  })

/**
 * A whole model: the first stage alone, or with the diffusion model in its latents. Latents are shifted and scaled on
 * their way to the diffusion model, (z - shift_factor) * scale_factor, by one number or one for each channel.
 */
export const modelConfig = z.preprocess(textAmongConditions, wholeModel)
/** A checked configuration of a whole model, defaults filled in. */
export type ModelConfig = z.infer<typeof modelConfig>

/** The first checkpoints could be conditioned on text alone, and called it as CompVis does. */
function textAmongConditions(config: unknown): unknown {
  if (typeof config !== 'object' || config === null || !('cond_stage_config' in config)) return config
  const { cond_stage_config: text, ...rest } = config
  return { ...rest, conditioning: { text } }
}

/** Tells where a UNet is not made for the latents and conditions that reach it. */
function checkReach(
  unet: UnetConfig,
  conditioning: ConditioningConfig | undefined,
  channels: number,
  problem: (path: string[], message: string) => void,
): void {
  const { concat, context, y, vector, conflict } = reachOf(conditioning, channels)
  if (conflict !== undefined) problem(['conditioning'], conflict)
  const beside = concat > 0 ? ` and the conditions ${concat}: wanted ${channels + concat}` : ''
  if (unet.in_channels !== channels + concat)
    problem(['unet_config', 'in_channels'], `the latents have ${channels} channels${beside}`)
  if (unet.out_channels !== channels) problem(['unet_config', 'out_channels'], `the latents have ${channels} channels`)
  if (contextWidth(unet) !== context)
    problem(['unet_config', 'context_dim'], `the conditions give tokens ${context ?? 'of no'} wide`)
  const told = vector === undefined ? y : 'sequential'
  const wanted = y === undefined ? 'no label' : `labels of ${y} classes`
  if ((unet.num_classes ?? undefined) !== told)
    problem(['unet_config', 'num_classes'], `the conditions give ${vector ? 'a vector: sequential' : wanted}`)
  else if (vector !== undefined && unet.adm_in_channels !== vector)
    problem(['unet_config', 'adm_in_channels'], `the conditions give a vector of ${vector}`)
}

/** Pixels along each side for which a latent stands. */
export const factorOf = ({ first_stage_config }: ModelConfig): number => firstStageFactor(first_stage_config)

/** Side in pixels of the pictures that a model was trained on. */
export const trainedSize = (config: ModelConfig): number => Number(config.unet_config!.image_size) * factorOf(config)

/** One number a channel, whichever way the config gives them. */
export const channelValues = (value: number | readonly number[], channels: number): Float32Array =>
  typeof value === 'number' ? new Float32Array(channels).fill(value) : Float32Array.from(value)
