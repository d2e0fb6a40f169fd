import { z } from 'zod'
import { FileError } from '../../platform/errors.js'

const perLevel = z.array(z.int().positive()).min(1).max(16)
const unsaid = z.union([z.null(), z.literal(false)]).nullish()

const downTypes = ['DownBlock2D', 'AttnDownBlock2D', 'ResnetDownsampleBlock2D'] as const
const upTypes = ['UpBlock2D', 'AttnUpBlock2D', 'ResnetUpsampleBlock2D'] as const

/** Of diffusers' unet_2d.py what CompVis' UNetModel can do as well; older files leave some of it out. */
const configSchema = z.object({
  _class_name: z.literal('UNet2DModel'),
  sample_size: z.int().positive().nullish(),
  in_channels: z.int().positive().default(3),
  out_channels: z.int().positive().default(3),
  block_out_channels: perLevel,
  down_block_types: z.array(z.enum(downTypes)),
  up_block_types: z.array(z.enum(upTypes)),
  mid_block_type: z.literal('UNetMidBlock2D').default('UNetMidBlock2D'),
  layers_per_block: z.int().positive().max(1000).default(2),
  attention_head_dim: z.int().positive().nullable().default(8),
  resnet_time_scale_shift: z.enum(['default', 'scale_shift']).default('default'),
  downsample_type: z.enum(['conv', 'resnet']).default('conv'),
  upsample_type: z.enum(['conv', 'resnet']).default('conv'),
  downsample_padding: z.literal(1).default(1),
  mid_block_scale_factor: z.literal(1).default(1),
  act_fn: z.literal('silu').default('silu'),
  norm_num_groups: z.literal(32).default(32),
  attn_norm_num_groups: z.union([z.null(), z.literal(32)]).optional(),
  norm_eps: z.literal(1e-5).default(1e-5),
  flip_sin_to_cos: z.literal(true).default(true),
  freq_shift: z.literal(0).default(0),
  time_embedding_type: z.literal('positional').default('positional'),
  add_attention: z.literal(true).default(true),
  center_input_sample: unsaid,
  class_embed_type: z.null().nullish(),
  num_class_embeds: z.int().positive().nullish(),
})

/** The words of openaimodel.py, UNetModel, for a UNet without transformers. */
export interface PlainUnetWords {
  readonly image_size?: number
  readonly in_channels: number
  readonly out_channels: number
  readonly model_channels: number
  readonly attention_resolutions: readonly number[]
  readonly num_res_blocks: number
  readonly channel_mult: readonly number[]
  readonly num_head_channels?: number
  readonly num_heads?: number
  readonly use_spatial_transformer: false
  readonly use_scale_shift_norm: boolean
  readonly resblock_updown: boolean
  readonly num_classes?: number
}

/**
 * Translates the config.json of a diffusers UNet2DModel into the words of CompVis' UNetModel.
 *
 * Throws FileError naming the key where it is no such config or asks for what that network cannot do.
 */
export function plainUnetFromDiffusers(json: unknown, file: string): PlainUnetWords {
  const parsed = configSchema.safeParse(json)
  const refuse = (reason: string): never => {
    throw new FileError(file, `cannot be used as the config of a UNet: ${reason}`)
  }
  if (!parsed.success) return refuse(z.prettifyError(parsed.error))
  const config = parsed.data
  const channels = config.block_out_channels
  const [first] = channels as [number]
  if (channels.some(c => c % first !== 0)) refuse(`block_out_channels ${channels} are no multiples of the first`)
  // There the attention in the middle goes without its norm, unless this says otherwise: unet_2d_blocks.py, UNetMidBlock2D.
  if (config.resnet_time_scale_shift === 'scale_shift' && !config.attn_norm_num_groups)
    refuse('with resnet_time_scale_shift "scale_shift" attn_norm_num_groups is wanted to be 32')
  const attends = config.down_block_types.map(type => type.startsWith('Attn'))
  if (attends.length !== channels.length)
    refuse(`down_block_types has ${attends.length} entries for ${channels.length} block_out_channels`)
  const up = config.up_block_types.map(type => type.startsWith('Attn')).reverse()
  if (String(up) !== String(attends)) refuse('up_block_types are not down_block_types in reverse')
  return {
    ...(config.sample_size ? { image_size: config.sample_size } : {}),
    in_channels: config.in_channels,
    out_channels: config.out_channels,
    model_channels: first,
    attention_resolutions: attends.flatMap((attend, level) => (attend ? [2 ** level] : [])),
    num_res_blocks: config.layers_per_block,
    channel_mult: channels.map(c => c / first),
    // Without a size of heads each attention has one.
    ...(config.attention_head_dim === null ? { num_heads: 1 } : { num_head_channels: config.attention_head_dim }),
    use_spatial_transformer: false,
    use_scale_shift_norm: config.resnet_time_scale_shift === 'scale_shift',
    resblock_updown: resizes(config, refuse),
    ...(config.num_class_embeds ? { num_classes: config.num_class_embeds } : {}),
  }
}

/** Whether residual blocks change the size: at every level, or at none. The last level on either way keeps it. */
function resizes(config: z.output<typeof configSchema>, refuse: (reason: string) => never): boolean {
  const { down_block_types, up_block_types, downsample_type, upsample_type } = config
  const along = (types: readonly string[], resizer: string) =>
    types.slice(0, -1).map(type => type.startsWith('Resnet') || (type.startsWith('Attn') && resizer === 'resnet'))
  const byResnet = [...along(down_block_types, downsample_type), ...along(up_block_types, upsample_type)]
  if (new Set(byResnet).size > 1) refuse('some blocks change the size by residual blocks and some by convolutions')
  return byResnet[0] ?? false
}

/** What decides it, of our configuration. */
const wordsSchema = z.object({
  image_size: z.int().positive().optional(),
  in_channels: z.int().positive(),
  out_channels: z.int().positive(),
  model_channels: z.int().positive(),
  attention_resolutions: z.array(z.int().positive()),
  num_res_blocks: z.int().positive(),
  channel_mult: z.array(z.int().positive()),
  num_heads: z.int().default(-1),
  num_head_channels: z.int().default(-1),
  use_scale_shift_norm: z.boolean().default(false),
  resblock_updown: z.boolean().default(false),
  use_new_attention_order: z.literal(false).default(false),
  conv_resample: z.literal(true).default(true),
  num_classes: z.int().positive().nullish(),
  num_attention_blocks: z.null().optional(),
  n_embed: z.null().optional(),
})

/**
 * The config.json of a diffusers UNet2DModel for a CompVis config without transformers.
 *
 * Throws RangeError naming the words for which diffusers has none.
 */
export function plainUnetToDiffusers(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const refuse = (reason: string): never => {
    throw new RangeError(`diffusers cannot express this UNet: ${reason}; write it as one .safetensors instead`)
  }
  const parsed = wordsSchema.safeParse(config)
  if (!parsed.success) return refuse(z.prettifyError(parsed.error))
  const words = parsed.data
  const { resblock_updown, channel_mult } = words
  const channels = channel_mult.map(m => m * words.model_channels)
  const attends = channels.map((_, level) => words.attention_resolutions.includes(2 ** level))
  const last = channels.at(-1)!
  // The middle has attention in any case.
  const places = channels.filter((_, level) => attends[level]).concat(last)
  const head = words.num_head_channels > 0 ? words.num_head_channels : last / words.num_heads
  if (words.num_head_channels < 1 && places.some(c => c / words.num_heads !== head))
    refuse(`it has one size of heads, found ${words.num_heads} heads over ${[...new Set(places)].join(', ')} channels`)
  const kind = (way: 'Down' | 'Up', attend: boolean) =>
    attend ? `Attn${way}Block2D` : resblock_updown ? `Resnet${way}sampleBlock2D` : `${way}Block2D`
  return {
    _class_name: 'UNet2DModel',
    act_fn: 'silu',
    ...(words.use_scale_shift_norm && { attn_norm_num_groups: 32 }),
    attention_head_dim: head,
    block_out_channels: channels,
    center_input_sample: false,
    down_block_types: attends.map(attend => kind('Down', attend)),
    downsample_padding: 1,
    downsample_type: resblock_updown ? 'resnet' : 'conv',
    flip_sin_to_cos: true,
    freq_shift: 0,
    in_channels: words.in_channels,
    layers_per_block: words.num_res_blocks,
    mid_block_scale_factor: 1,
    norm_eps: 1e-5,
    norm_num_groups: 32,
    ...(words.num_classes && { num_class_embeds: words.num_classes }),
    out_channels: words.out_channels,
    resnet_time_scale_shift: words.use_scale_shift_norm ? 'scale_shift' : 'default',
    sample_size: words.image_size ?? null,
    time_embedding_type: 'positional',
    up_block_types: attends.map(attend => kind('Up', attend)).reverse(),
    upsample_type: resblock_updown ? 'resnet' : 'conv',
  }
}
