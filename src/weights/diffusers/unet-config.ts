import { z } from 'zod'
import { FileError } from '../../platform/errors.js'

// Of more blocks than any network has, names would be made without end.
const count = z.int().nonnegative().max(1000)
const perLevel = z.union([count, z.array(count).max(16)])

/** The words of openaimodel.py, UNetModel, that diffusers' UNet2DConditionModel can express, with those values. */
const unetWords = z.object({
  image_size: z.int().positive().optional(),
  in_channels: z.int().positive(),
  out_channels: z.int().positive(),
  model_channels: z.int().positive(),
  /** Downsampling factors at which there is attention. */
  attention_resolutions: z.array(z.int().positive()),
  num_res_blocks: perLevel,
  channel_mult: z.array(z.int().positive()).min(1).max(16),
  num_heads: z.int().optional(),
  num_head_channels: z.int().optional(),
  use_spatial_transformer: z.literal(true).default(true),
  use_linear_in_transformer: z.boolean().default(false),
  transformer_depth: perLevel.default(1),
  context_dim: z.int().positive(),
  use_scale_shift_norm: z.boolean().default(false),
  /** Levels whose transformers attend to the context alone. */
  disable_self_attentions: z.array(z.boolean()).nullish(),
  /** A number of labels, or `sequential` for a vector of `adm_in_channels`. */
  num_classes: z.union([z.int().positive(), z.literal('sequential')]).nullish(),
  adm_in_channels: z.int().positive().nullish(),
  legacy: z.boolean().optional(),
  conv_resample: z.literal(true).optional(),
  resblock_updown: z.literal(false).optional(),
  num_attention_blocks: z.null().optional(),
  n_embed: z.null().optional(),
  disable_middle_self_attn: z.literal(false).optional(),
  disable_middle_transformer: z.literal(false).optional(),
  pooled_context: z.literal(false).optional(),
})
/** What of CompVis' words diffusers can express. */
export type UnetWords = z.input<typeof unetWords>

/** Where diffusers keeps what CompVis calls `label_emb`: SDXL's sizes, or unCLIP's image embedding. */
export type LabelModule = 'add_embedding' | 'class_embedding'

const never = z.union([z.null(), z.literal(false)])

/** What of the config matters, older files leaving some of it out; what CompVis' network cannot do is refused. */
const unetConfigSchema = z.object({
  _class_name: z.literal('UNet2DConditionModel'),
  sample_size: z.int().positive().nullish(),
  in_channels: z.int().positive(),
  out_channels: z.int().positive(),
  block_out_channels: z.array(z.int().positive()).min(1).max(16),
  down_block_types: z.array(z.enum(['CrossAttnDownBlock2D', 'DownBlock2D'])),
  mid_block_type: z.literal('UNetMidBlock2DCrossAttn').default('UNetMidBlock2DCrossAttn'),
  up_block_types: z.array(z.enum(['CrossAttnUpBlock2D', 'UpBlock2D'])),
  layers_per_block: perLevel.default(2),
  /** The number of heads in spite of its name, https://github.com/huggingface/diffusers/issues/2011. */
  attention_head_dim: perLevel.nullish(),
  num_attention_heads: perLevel.nullish(),
  cross_attention_dim: z.int().positive(),
  transformer_layers_per_block: perLevel.default(1),
  use_linear_projection: z.boolean().default(false),
  only_cross_attention: z.union([z.boolean(), z.array(z.boolean())]).default(false),
  resnet_time_scale_shift: z.enum(['default', 'scale_shift']).default('default'),
  class_embed_type: z.enum(['projection']).nullish(),
  num_class_embeds: z.int().positive().nullish(),
  addition_embed_type: z.enum(['text_time']).nullish(),
  addition_time_embed_dim: z.int().positive().nullish(),
  projection_class_embeddings_input_dim: z.int().positive().nullish(),
  act_fn: z.literal('silu').default('silu'),
  norm_num_groups: z.literal(32).default(32),
  norm_eps: z.literal(1e-5).default(1e-5),
  downsample_padding: z.literal(1).default(1),
  mid_block_scale_factor: z.literal(1).default(1),
  resnet_out_scale_factor: z.literal(1).default(1),
  conv_in_kernel: z.literal(3).default(3),
  conv_out_kernel: z.literal(3).default(3),
  flip_sin_to_cos: z.literal(true).default(true),
  freq_shift: z.literal(0).default(0),
  time_embedding_type: z.literal('positional').default('positional'),
  attention_type: z.literal('default').default('default'),
  center_input_sample: never.nullish(),
  dual_cross_attention: never.nullish(),
  encoder_hid_dim_type: z.null().nullish(),
  time_cond_proj_dim: z.null().nullish(),
  timestep_post_act: z.null().nullish(),
  time_embedding_act_fn: z.null().nullish(),
  cross_attention_norm: z.null().nullish(),
  class_embeddings_concat: never.nullish(),
  resnet_skip_time_act: never.nullish(),
})

/**
 * Translates the config.json of a diffusers UNet into the words of CompVis' UNetModel.
 *
 * Throws FileError naming the key where it is no such config or asks for what that network cannot do.
 *
 * @param json the parsed file
 * @param file what messages call it
 */
export function unetFromDiffusers(json: unknown, file: string): { words: UnetWords; label: LabelModule } {
  const parsed = unetConfigSchema.safeParse(json)
  if (!parsed.success) {
    throw new FileError(file, `cannot be used as the config of a UNet: ${z.prettifyError(parsed.error)}`)
  }
  const config = parsed.data
  const refuse = (reason: string): never => {
    throw new FileError(file, `cannot be used as the config of a UNet: ${reason}`)
  }
  const channels = config.block_out_channels
  const levels = channels.length
  const list = <T>(value: T | T[]): T[] => (Array.isArray(value) ? value : new Array<T>(levels).fill(value))
  const same = <T>(values: T[]): T | T[] => (values.every(value => value === values[0]) ? values[0]! : values)
  const [model] = channels as [number]
  if (channels.some(c => c % model !== 0)) refuse(`block_out_channels ${channels} are no multiples of the first`)
  const heads = list(config.num_attention_heads ?? config.attention_head_dim ?? 8)
  const depths = list(config.transformer_layers_per_block)
  const layers = list(config.layers_per_block)
  const onlyCross = list(config.only_cross_attention)
  const attends = config.down_block_types.map(type => type === 'CrossAttnDownBlock2D')
  for (const [key, values] of Object.entries({ down_block_types: attends, heads, depths, layers, onlyCross })) {
    if (values.length !== levels) refuse(`${key} has ${values.length} entries for ${levels} block_out_channels`)
  }
  const up = config.up_block_types.map(type => type === 'CrossAttnUpBlock2D').reverse()
  if (String(up) !== String(attends)) refuse('up_block_types are not down_block_types in reverse')
  if (config.class_embed_type && config.addition_embed_type)
    refuse('class_embed_type and addition_embed_type are both set')

  const headChannels = channels.map((c, level) => c / heads[level]!)
  const sameHeads = same(heads)
  const sameHeadChannels = same(headChannels)
  if (typeof sameHeads !== 'number' && typeof sameHeadChannels !== 'number') {
    refuse(`attention_head_dim ${heads} gives neither one number of heads nor one size of them`)
  }
  const vector = config.class_embed_type ?? config.addition_embed_type
  if (vector && !config.projection_class_embeddings_input_dim)
    refuse('projection_class_embeddings_input_dim is missing')
  return {
    words: {
      ...(config.sample_size ? { image_size: config.sample_size } : {}),
      in_channels: config.in_channels,
      out_channels: config.out_channels,
      model_channels: model,
      attention_resolutions: attends.flatMap((attend, level) => (attend ? [2 ** level] : [])),
      num_res_blocks: same(layers),
      channel_mult: channels.map(c => c / model),
      ...(typeof sameHeads === 'number' ? { num_heads: sameHeads } : { num_head_channels: sameHeadChannels as number }),
      use_spatial_transformer: true,
      use_linear_in_transformer: config.use_linear_projection,
      transformer_depth: same(depths),
      context_dim: config.cross_attention_dim,
      use_scale_shift_norm: config.resnet_time_scale_shift === 'scale_shift',
      ...(onlyCross.includes(true) ? { disable_self_attentions: onlyCross } : {}),
      ...(vector
        ? { num_classes: 'sequential', adm_in_channels: config.projection_class_embeddings_input_dim! }
        : config.num_class_embeds
          ? { num_classes: config.num_class_embeds }
          : {}),
      legacy: false,
    },
    label: config.class_embed_type ? 'class_embedding' : 'add_embedding',
  }
}

/**
 * The config.json of a diffusers UNet2DConditionModel for a CompVis config.
 *
 * Throws RangeError naming the words for which diffusers has none.
 *
 * @param timeEmbedding channels of each of SDXL's six numbers; given, `label_emb` becomes `add_embedding`
 */
export function unetToDiffusers(
  config: Readonly<Record<string, unknown>>,
  timeEmbedding?: number,
): Record<string, unknown> {
  const parsed = unetWords.safeParse(config)
  if (!parsed.success) {
    throw new RangeError(
      `diffusers cannot express this UNet: ${z.prettifyError(parsed.error)}; write it as one .safetensors instead`,
    )
  }
  const words = parsed.data
  const channels = words.channel_mult.map(m => m * words.model_channels)
  const attends = channels.map((_, level) => words.attention_resolutions.includes(2 ** level))
  const { num_heads: heads = -1, num_head_channels: headChannels = -1 } = words
  const vector = words.num_classes === 'sequential'
  return {
    _class_name: 'UNet2DConditionModel',
    act_fn: 'silu',
    addition_embed_type: vector && timeEmbedding ? 'text_time' : null,
    addition_time_embed_dim: vector && timeEmbedding ? timeEmbedding : null,
    attention_head_dim: headChannels > 0 ? channels.map(c => c / headChannels) : heads,
    block_out_channels: channels,
    class_embed_type: vector && !timeEmbedding ? 'projection' : null,
    cross_attention_dim: words.context_dim,
    down_block_types: attends.map(attend => (attend ? 'CrossAttnDownBlock2D' : 'DownBlock2D')),
    downsample_padding: 1,
    flip_sin_to_cos: true,
    freq_shift: 0,
    in_channels: words.in_channels,
    layers_per_block: words.num_res_blocks,
    mid_block_type: 'UNetMidBlock2DCrossAttn',
    norm_eps: 1e-5,
    norm_num_groups: 32,
    num_class_embeds: typeof words.num_classes === 'number' ? words.num_classes : null,
    only_cross_attention: words.disable_self_attentions ?? false,
    out_channels: words.out_channels,
    projection_class_embeddings_input_dim: words.adm_in_channels ?? null,
    resnet_time_scale_shift: words.use_scale_shift_norm ? 'scale_shift' : 'default',
    sample_size: words.image_size ?? null,
    transformer_layers_per_block: words.transformer_depth,
    up_block_types: attends.map(attend => (attend ? 'CrossAttnUpBlock2D' : 'UpBlock2D')).reverse(),
    use_linear_projection: words.use_linear_in_transformer,
  }
}
