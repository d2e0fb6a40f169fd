import { z } from 'zod'
import { FileError } from '../../platform/errors.js'
import { attendsAt } from './autoencoder-names.js'

/** The words of CompVis' AutoencoderKL, and of its VQModel, which has codes. */
export interface AutoencoderWords {
  readonly ddconfig: {
    /** False with codes. */
    readonly double_z: boolean
    readonly z_channels: number
    readonly resolution: number
    readonly in_channels: number
    readonly out_ch: number
    readonly ch: number
    readonly ch_mult: readonly number[]
    readonly num_res_blocks: number
    readonly attn_resolutions: readonly number[]
    readonly dropout: 0
    /** 32 if not given. */
    readonly num_groups?: number
    /** No attention anywhere, the middle included; else the original's. */
    readonly attn_type?: 'none'
  }
  readonly embed_dim: number
  /** Codes of a codebook. */
  readonly n_embed?: number
}

const autoencoderConfigSchema = z.object({
  _class_name: z.enum(['AutoencoderKL', 'VQModel']),
  in_channels: z.int().positive(),
  out_channels: z.int().positive(),
  latent_channels: z.int().positive(),
  block_out_channels: z.array(z.int().positive()).min(1).max(16),
  down_block_types: z.array(z.enum(['DownEncoderBlock2D', 'AttnDownEncoderBlock2D'])),
  up_block_types: z.array(z.enum(['UpDecoderBlock2D', 'AttnUpDecoderBlock2D'])),
  layers_per_block: z.int().positive().max(1000).default(1),
  sample_size: z.int().positive().default(32),
  scaling_factor: z.number().positive().optional(),
  num_vq_embeddings: z.int().positive().default(256),
  vq_embed_dim: z.int().positive().nullish(),
  norm_type: z.literal('group').default('group'),
  shift_factor: z.union([z.null(), z.literal(0)]).nullish(),
  latents_mean: z.null().nullish(),
  latents_std: z.null().nullish(),
  norm_num_groups: z.int().positive().default(32),
  act_fn: z.literal('silu').default('silu'),
  mid_block_add_attention: z.boolean().default(true),
  use_quant_conv: z.literal(true).default(true),
  use_post_quant_conv: z.literal(true).default(true),
})

/**
 * The scale of latents where a config.json does not say it. Pipelines scale latents of codes by Stable Diffusion's too, but
 * those of the paper were trained without: diffusers, issue 6725.
 */
export const usualScale = ({ n_embed }: { readonly n_embed?: unknown }): number => (n_embed === undefined ? 0.18215 : 1)

/**
 * Translates the config.json of a diffusers AutoencoderKL or VQModel into CompVis' words.
 *
 * Throws FileError naming the key where it is no such config or asks for what that network cannot do.
 */
export function autoencoderFromDiffusers(
  json: unknown,
  file: string,
): { words: AutoencoderWords; scaleFactor: number | undefined } {
  const parsed = autoencoderConfigSchema.safeParse(json)
  if (!parsed.success) {
    throw new FileError(file, `cannot be used as the config of an autoencoder: ${z.prettifyError(parsed.error)}`)
  }
  const config = parsed.data
  const refuse = (reason: string): never => {
    throw new FileError(file, `cannot be used as the config of an autoencoder: ${reason}`)
  }
  const channels = config.block_out_channels
  const [ch] = channels as [number]
  if (channels.some(c => c % ch !== 0)) refuse(`block_out_channels ${channels} are no multiples of the first`)
  const attends = config.down_block_types.map(type => type.startsWith('Attn'))
  if (attends.length !== channels.length)
    refuse(`there are ${attends.length} down blocks for ${channels.length} channels`)
  const up = config.up_block_types.map(type => type.startsWith('Attn')).reverse()
  if (String(up) !== String(attends)) refuse('up_block_types are not down_block_types in reverse')
  const middle = config.mid_block_add_attention
  if (!middle && attends.includes(true)) refuse('the levels have attention and the middle has none')
  const hasCodes = config._class_name === 'VQModel'
  const words: AutoencoderWords = {
    ddconfig: {
      double_z: !hasCodes,
      z_channels: config.latent_channels,
      resolution: config.sample_size,
      in_channels: config.in_channels,
      out_ch: config.out_channels,
      ch,
      ch_mult: channels.map(c => c / ch),
      num_res_blocks: config.layers_per_block,
      attn_resolutions: attends.flatMap((attend, level) => (attend ? [config.sample_size >> level] : [])),
      dropout: 0,
      ...(config.norm_num_groups !== 32 && { num_groups: config.norm_num_groups }),
      ...(!middle && { attn_type: 'none' }),
    },
    embed_dim: (hasCodes && config.vq_embed_dim) || config.latent_channels,
    ...(hasCodes && { n_embed: config.num_vq_embeddings }),
  }
  return { words, scaleFactor: config.scaling_factor }
}

/**
 * The config.json of a diffusers AutoencoderKL or VQModel for a CompVis config.
 *
 * Throws RangeError where diffusers has no word for it.
 */
export function autoencoderToDiffusers(
  { ddconfig, embed_dim, n_embed }: StageConfig,
  scaleFactor: number | undefined,
): Record<string, unknown> {
  const hasCodes = n_embed !== undefined
  if (!hasCodes && embed_dim !== ddconfig.z_channels) {
    throw new RangeError(
      `diffusers has one number of latent channels, found embed_dim ${embed_dim} and z_channels ${ddconfig.z_channels}`,
    )
  }
  const { num_groups = 32, attn_type = 'vanilla', resamp_with_conv = true, give_pre_end, tanh_out } = ddconfig
  if (attn_type === 'linear' || !resamp_with_conv || give_pre_end || tanh_out) {
    throw new RangeError(
      'diffusers has no word for linear attention, resizing without convolutions, give_pre_end or tanh_out',
    )
  }
  const attends = ddconfig.ch_mult.map((_, level) => attendsAt(ddconfig, level))
  return {
    _class_name: hasCodes ? 'VQModel' : 'AutoencoderKL',
    act_fn: 'silu',
    block_out_channels: ddconfig.ch_mult.map(m => m * ddconfig.ch),
    down_block_types: attends.map(attend => (attend ? 'AttnDownEncoderBlock2D' : 'DownEncoderBlock2D')),
    in_channels: ddconfig.in_channels,
    latent_channels: ddconfig.z_channels,
    layers_per_block: ddconfig.num_res_blocks,
    mid_block_add_attention: attn_type !== 'none',
    norm_num_groups: num_groups,
    ...(hasCodes && { num_vq_embeddings: n_embed }),
    out_channels: ddconfig.out_ch,
    sample_size: ddconfig.resolution,
    ...(scaleFactor !== undefined && { scaling_factor: scaleFactor }),
    up_block_types: attends.map(attend => (attend ? 'AttnUpDecoderBlock2D' : 'UpDecoderBlock2D')).reverse(),
    ...(hasCodes && { vq_embed_dim: embed_dim }),
  }
}

/** What of a CompVis config diffusers can express. */
export interface StageConfig {
  readonly ddconfig: Ddconfig
  readonly embed_dim: number
  readonly n_embed?: number
}

type Ddconfig = Omit<AutoencoderWords['ddconfig'], 'double_z' | 'dropout' | 'attn_type'> & {
  /** `none`: no attention anywhere, the middle included; `vanilla` by default. */
  readonly attn_type?: string
  readonly resamp_with_conv?: boolean
  readonly give_pre_end?: boolean
  readonly tanh_out?: boolean
}
