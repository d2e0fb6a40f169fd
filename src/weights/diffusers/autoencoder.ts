import { z } from 'zod'
import { FileError } from '../../platform/errors.js'
import { type ModuleNames, type Renames, renamesBetween } from './module-names.js'

/** The words of CompVis' AutoencoderKL. */
export interface AutoencoderWords {
  readonly ddconfig: {
    readonly double_z: true
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
}

const autoencoderConfigSchema = z.object({
  _class_name: z.literal('AutoencoderKL'),
  in_channels: z.int().positive(),
  out_channels: z.int().positive(),
  latent_channels: z.int().positive(),
  block_out_channels: z.array(z.int().positive()).min(1).max(16),
  down_block_types: z.array(z.enum(['DownEncoderBlock2D', 'AttnDownEncoderBlock2D'])),
  up_block_types: z.array(z.enum(['UpDecoderBlock2D', 'AttnUpDecoderBlock2D'])),
  layers_per_block: z.int().positive().default(1),
  sample_size: z.int().positive().default(32),
  scaling_factor: z.number().positive().default(0.18215),
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
 * Translates the config.json of a diffusers AutoencoderKL into CompVis' words.
 *
 * Throws FileError naming the key where it is no such config or asks for what that network cannot do.
 */
export function autoencoderFromDiffusers(
  json: unknown,
  file: string,
): { words: AutoencoderWords; scaleFactor: number } {
  const parsed = autoencoderConfigSchema.safeParse(json)
  if (!parsed.success) {
    throw new FileError(file, `cannot be used as the config of a KL autoencoder: ${z.prettifyError(parsed.error)}`)
  }
  const config = parsed.data
  const refuse = (reason: string): never => {
    throw new FileError(file, `cannot be used as the config of a KL autoencoder: ${reason}`)
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
  const words: AutoencoderWords = {
    ddconfig: {
      double_z: true,
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
    embed_dim: config.latent_channels,
  }
  return { words, scaleFactor: config.scaling_factor }
}

/**
 * The config.json of a diffusers AutoencoderKL for a CompVis config.
 *
 * Throws RangeError where diffusers has no word for it.
 */
export function autoencoderToDiffusers(
  { ddconfig, embed_dim }: { ddconfig: Ddconfig; embed_dim: number },
  scaleFactor: number,
): Record<string, unknown> {
  if (embed_dim !== ddconfig.z_channels) {
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
    _class_name: 'AutoencoderKL',
    act_fn: 'silu',
    block_out_channels: ddconfig.ch_mult.map(m => m * ddconfig.ch),
    down_block_types: attends.map(attend => (attend ? 'AttnDownEncoderBlock2D' : 'DownEncoderBlock2D')),
    in_channels: ddconfig.in_channels,
    latent_channels: ddconfig.z_channels,
    layers_per_block: ddconfig.num_res_blocks,
    mid_block_add_attention: attn_type !== 'none',
    norm_num_groups: num_groups,
    out_channels: ddconfig.out_ch,
    sample_size: ddconfig.resolution,
    scaling_factor: scaleFactor,
    up_block_types: attends.map(attend => (attend ? 'AttnUpDecoderBlock2D' : 'UpDecoderBlock2D')).reverse(),
  }
}

/** What of a CompVis ddconfig diffusers can express. */
type Ddconfig = Omit<AutoencoderWords['ddconfig'], 'double_z' | 'dropout' | 'attn_type'> & {
  /** `none`: no attention anywhere, the middle included; `vanilla` by default. */
  readonly attn_type?: string
  readonly resamp_with_conv?: boolean
  readonly give_pre_end?: boolean
  readonly tanh_out?: boolean
}

/** What of it decides the names. */
export type StageLayout = Pick<Ddconfig, 'ch_mult' | 'num_res_blocks' | 'attn_resolutions' | 'resolution' | 'attn_type'>

function attendsAt({ attn_resolutions, resolution, attn_type }: StageLayout, level: number): boolean {
  return attn_type !== 'none' && attn_resolutions.includes(Math.floor(resolution / 2 ** level))
}

/** model.py, AttnBlock, against attention_processor.py, Attention. */
const attention = new Map([
  ['norm', 'group_norm'],
  ['q', 'to_q'],
  ['k', 'to_k'],
  ['v', 'to_v'],
  ['proj_out', 'to_out.0'],
])
/** Before diffusers 0.17. */
const oldAttention = new Map([
  ['norm', 'group_norm'],
  ['q', 'query'],
  ['k', 'key'],
  ['v', 'value'],
  ['proj_out', 'proj_attn'],
])
const resnet = new Map([
  ['norm1', 'norm1'],
  ['conv1', 'conv1'],
  ['norm2', 'norm2'],
  ['conv2', 'conv2'],
  ['nin_shortcut', 'conv_shortcut'],
])

/** In the order of model.py, Encoder and Decoder; the other names are those of autoencoder_kl.py and vae.py. */
function* modules(ddconfig: StageLayout): Generator<ModuleNames> {
  const levels = ddconfig.ch_mult.length
  for (const [half, ours, theirs, extra] of [
    ['encoder', 'down', 'down_blocks', 0],
    ['decoder', 'up', 'up_blocks', 1],
  ] as const) {
    yield { compvis: `${half}.conv_in`, diffusers: `${half}.conv_in` }
    for (let level = 0; level < levels; level++) {
      const compvis = `${half}.${ours}.${level}`
      // CompVis counts both ways from the full resolution, diffusers in the order of use.
      const diffusers = `${half}.${theirs}.${half === 'encoder' ? level : levels - 1 - level}`
      for (let i = 0; i < ddconfig.num_res_blocks + extra; i++) {
        yield { compvis: `${compvis}.block.${i}`, diffusers: `${diffusers}.resnets.${i}`, inner: resnet }
        if (attendsAt(ddconfig, level)) yield* attentions(`${compvis}.attn.${i}`, `${diffusers}.attentions.${i}`)
      }
      yield half === 'encoder'
        ? { compvis: `${compvis}.downsample.conv`, diffusers: `${diffusers}.downsamplers.0.conv` }
        : { compvis: `${compvis}.upsample.conv`, diffusers: `${diffusers}.upsamplers.0.conv` }
    }
    yield { compvis: `${half}.mid.block_1`, diffusers: `${half}.mid_block.resnets.0`, inner: resnet }
    yield* attentions(`${half}.mid.attn_1`, `${half}.mid_block.attentions.0`)
    yield { compvis: `${half}.mid.block_2`, diffusers: `${half}.mid_block.resnets.1`, inner: resnet }
    yield { compvis: `${half}.norm_out`, diffusers: `${half}.conv_norm_out` }
    yield { compvis: `${half}.conv_out`, diffusers: `${half}.conv_out` }
  }
  yield { compvis: 'quant_conv', diffusers: 'quant_conv' }
  yield { compvis: 'post_quant_conv', diffusers: 'post_quant_conv' }
}

function* attentions(compvis: string, diffusers: string): Generator<ModuleNames> {
  yield { compvis, diffusers, inner: attention }
  yield { compvis, diffusers, inner: oldAttention }
}

/** The tensors of a KL autoencoder in CompVis checkpoints and in diffusers' AutoencoderKL. */
export function autoencoderRenames(ddconfig: StageLayout): Renames {
  return renamesBetween(modules(ddconfig), name => /\.attn(_1|\.\d+)\.(q|k|v|proj_out)\.weight$/.test(name))
}
