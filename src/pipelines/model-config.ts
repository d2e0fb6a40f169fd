import { z } from 'zod'
import { firstStageConfig, firstStageFactor } from '../autoencoder/config.js'
import { textEncoderConfig } from '../text/encoder.js'
import { unetConfig } from '../unet/config.js'

const count = z.int().positive()
const perChannel = z.union([z.number(), z.array(z.number()).min(1)])

/** The noise schedule and what the network predicts, in the words of CompVis/latent-diffusion, `ddpm.py`. */
export const diffusionConfig = z.strictObject({
  parameterization: z.enum(['epsilon', 'x0', 'v']).default('epsilon').describe('what the network predicts'),
  timesteps: count.max(100_000).default(1000),
  beta_schedule: z.enum(['linear', 'cosine', 'sqrt_linear', 'sqrt']).default('linear'),
  linear_start: z.number().positive().lt(1).default(1e-4),
  linear_end: z.number().positive().lt(1).default(2e-2),
  cosine_s: z.number().positive().default(8e-3),
})
/** A checked noise schedule, defaults filled in. */
export type DiffusionConfig = z.infer<typeof diffusionConfig>

/**
 * A whole model: the first stage alone, or with the diffusion model in its latents. Latents are shifted and scaled on
 * their way to the diffusion model, (z - shift_factor) * scale_factor, by one number or one for each channel.
 */
export const modelConfig = z
  .strictObject({
    first_stage_config: firstStageConfig,
    scale_factor: perChannel.default(1),
    shift_factor: perChannel.default(0),
    unet_config: unetConfig.optional(),
    cond_stage_config: textEncoderConfig.optional().describe('the text encoder; without it the model takes no text'),
    diffusion: diffusionConfig.optional(),
  })
  .superRefine((config, { addIssue }) => {
    const channels = config.first_stage_config.embed_dim
    const problem = (path: string[], message: string) => addIssue({ code: 'custom', path, message })
    for (const name of ['scale_factor', 'shift_factor'] as const) {
      const value = config[name]
      if (Array.isArray(value) && value.length !== channels)
        problem([name], `has ${value.length} entries, the latents have ${channels} channels`)
    }
    const { unet_config: unet, cond_stage_config: text } = config
    if (unet === undefined) return
    for (const name of ['in_channels', 'out_channels'] as const) {
      if (unet[name] !== channels) problem(['unet_config', name], `the latents have ${channels} channels (embed_dim)`)
    }
    const context = Array.isArray(unet.context_dim) ? unet.context_dim[0] : unet.context_dim
    if ((context ?? undefined) !== text?.n_embed) {
      problem(
        ['unet_config', 'context_dim'],
        `the text encoder gives tokens ${text?.n_embed ?? 'of no'} wide (n_embed)`,
      )
    }
    if (typeof unet.image_size !== 'number') problem(['unet_config', 'image_size'], 'give the size of the latents')
  })
/** A checked configuration of a whole model, defaults filled in. */
export type ModelConfig = z.infer<typeof modelConfig>

/** Pixels along each side for which a latent stands. */
export const factorOf = ({ first_stage_config }: ModelConfig): number => firstStageFactor(first_stage_config)

/** One number a channel, whichever way the config gives them. */
export const channelValues = (value: number | readonly number[], channels: number): Float32Array =>
  typeof value === 'number' ? new Float32Array(channels).fill(value) : Float32Array.from(value)
