import { z } from 'zod'
import { type TaesdConfig, taesdConfig, taesdFactor } from './taesd.js'

const count = z.int().positive()

/** The networks of both halves, in the words of CompVis/latent-diffusion, `model.py`, Encoder and Decoder. */
export const ddConfig = z
  .strictObject({
    double_z: z.boolean().default(true).describe('the encoder gives mean and log variance'),
    z_channels: count.describe('channels of the latents inside the networks'),
    resolution: count.describe('size of the images in training; other sizes work, but attn_resolutions refer to it'),
    in_channels: count,
    out_ch: count,
    ch: count.describe('channels of the first level'),
    ch_mult: z.array(count).min(1).default([1, 2, 4, 8]).describe('channels of each level over ch; f = 2^(levels - 1)'),
    num_res_blocks: count.describe('residual blocks a level; the decoder has one more'),
    attn_resolutions: z.array(count).describe('sizes, at the training resolution, that have attention'),
    dropout: z.number().min(0).lt(1).default(0),
    num_groups: count
      .default(32)
      .describe('groups of channels that are normalised together; 32 in the original, fewer for narrow networks'),
    resamp_with_conv: z
      .boolean()
      .default(true)
      .describe('convolutions where the size changes; false: pooling and copying'),
    give_pre_end: z.boolean().default(false).describe('the decoder ends before its last normalisation'),
    tanh_out: z.boolean().default(false),
    use_linear_attn: z.boolean().default(false).describe('the same as attn_type: linear'),
    attn_type: z
      .enum(['vanilla', 'vanilla-xformers', 'linear', 'none'])
      .default('vanilla')
      .describe('vanilla-xformers is how the original computed vanilla'),
  })
  .transform(({ use_linear_attn, attn_type, ...config }) => ({
    ...config,
    attn_type: use_linear_attn ? 'linear' : attn_type === 'vanilla-xformers' ? 'vanilla' : attn_type,
  }))
  .superRefine((config, { addIssue }) => {
    for (const mult of new Set([1, ...config.ch_mult])) {
      if ((mult * config.ch) % config.num_groups !== 0) {
        const message = `a level has ${mult * config.ch} channels: a multiple of num_groups, ${config.num_groups}, is needed`
        addIssue({ code: 'custom', path: ['ch'], message })
      }
    }
  })

/** A KL autoencoder: its networks and the channels of its latents. Source: ldm/models/autoencoder.py, AutoencoderKL. */
export const autoencoderConfig = z
  .strictObject({
    ddconfig: ddConfig,
    embed_dim: count.describe('channels of the latents'),
  })
  .refine(config => config.ddconfig.double_z, {
    path: ['ddconfig', 'double_z'],
    message: 'a KL autoencoder needs mean and log variance: double_z must be true',
  })

/** An autoencoder with a codebook. Source: ldm/models/autoencoder.py, VQModel. */
export const vqConfig = z
  .strictObject({
    ddconfig: ddConfig,
    embed_dim: count.describe('channels of the latents, width of a code'),
    n_embed: count.describe('number of codes'),
    beta: z.number().nonnegative().default(0.25).describe('weight of the commitment'),
    legacy: z.boolean().default(false).describe('beta weighs the other term, as the first release had it'),
  })
  .refine(config => !config.ddconfig.double_z, {
    path: ['ddconfig', 'double_z'],
    message: 'codes have no variance: double_z must be false',
  })

/** No first stage: diffusion in the pixels themselves. Source: ldm/models/autoencoder.py, IdentityFirstStage. */
export const identityConfig = z.strictObject({
  f: z.literal(1).describe('pixels are their own latents'),
  embed_dim: count.default(3).describe('channels of the images'),
})

/** A first stage of any kind: a codebook has `n_embed`, the identity `f: 1`, TAESD `latent_channels`. */
export const firstStageConfig = z.union([
  autoencoderConfig,
  vqConfig,
  identityConfig,
  taesdConfig.extend({
    latent_channels: count.describe('channels of the latents: 4 of Stable Diffusion 1, 2 and XL, 16 of 3'),
  }),
])

export type DdConfig = z.infer<typeof ddConfig>
export type AutoencoderConfig = z.infer<typeof autoencoderConfig>
export type VqConfig = z.infer<typeof vqConfig>
export type FirstStageConfig = z.infer<typeof firstStageConfig>

/** Whether a first stage is tiny: its images are in [0, 1] and its latents those of the diffusion model, scaled. */
export const isTaesd = (config: FirstStageConfig): config is TaesdConfig => 'latent_channels' in config

/** Channels of a first stage's latents. */
export const latentChannels = (config: FirstStageConfig): number =>
  isTaesd(config) ? config.latent_channels : config.embed_dim

/** Whether the latents of a first stage are codes. */
export const hasCodebook = (config: FirstStageConfig): config is VqConfig => 'n_embed' in config

/** Whether it tells latents with a spread, by which they may be drawn. */
export const hasSpread = (config: FirstStageConfig): config is AutoencoderConfig =>
  !('f' in config || isTaesd(config) || hasCodebook(config))

/** How many pixels a latent stands for along each side. */
export const downsamplingFactor = ({ ch_mult }: DdConfig): number => 2 ** (ch_mult.length - 1)

/** The same of a first stage of any kind. */
export const firstStageFactor = (config: FirstStageConfig): number =>
  'f' in config ? config.f : isTaesd(config) ? taesdFactor : downsamplingFactor(config.ddconfig)
