import { z } from 'zod'

const count = z.int().positive()
const perLevel = z.union([z.int().nonnegative(), z.array(z.int().nonnegative())])

/**
 * The options of CompVis' UNetModel and its successors in their own words. Sources: CompVis/latent-diffusion,
 * Stability-AI/stablediffusion and Stability-AI/generative-models, `openaimodel.py`.
 */
export const unetConfig = z
  .strictObject({
    image_size: z
      .union([count, z.array(count)])
      .optional()
      .describe('size of the latents in training; the network takes others as well'),
    in_channels: count.describe('channels of the input, with what is concatenated to it'),
    model_channels: count.describe('channels of the first level'),
    out_channels: count,
    num_res_blocks: z.union([count, z.array(count)]).describe('residual blocks a level, on the way down'),
    attention_resolutions: z.array(count).describe('factors of downsampling at which attention is used: 1, 2, 4, ...'),
    dropout: z.number().min(0).lt(1).default(0),
    channel_mult: z.array(count).min(1).default([1, 2, 4, 8]).describe('channels of each level over model_channels'),
    conv_resample: z
      .boolean()
      .default(true)
      .describe('convolutions where the size changes; false: pooling and copying'),
    dims: z.literal(2).default(2),
    num_classes: z
      .union([count, z.enum(['continuous', 'sequential', 'timestep'])])
      .nullish()
      .describe('what y is: a class label, a number, a vector of adm_in_channels, or a second time'),
    adm_in_channels: count.nullish().describe('width of y where num_classes is "sequential"'),
    use_checkpoint: z
      .boolean()
      .default(false)
      .describe('compute activations again in the backward pass, to save memory'),
    use_fp16: z.boolean().default(false).describe('how the original computed; without effect'),
    use_bf16: z.boolean().default(false).describe('how the original computed; without effect'),
    num_heads: z.int().default(-1).describe('attention heads, if num_head_channels is -1'),
    num_head_channels: z.int().default(-1).describe('channels of a head'),
    num_heads_upsample: z.int().default(-1).describe('heads on the way up, where attention is no transformer'),
    use_scale_shift_norm: z.boolean().default(false).describe('the time scales and shifts; otherwise it is added'),
    resblock_updown: z.boolean().default(false).describe('residual blocks where the size changes'),
    use_new_attention_order: z.boolean().default(false).describe('split q, k and v first, then into heads'),
    use_spatial_transformer: z.boolean().optional().describe('transformers instead of plain self-attention'),
    transformer_depth: perLevel.default(1).describe('transformer blocks at each place'),
    transformer_depth_middle: z
      .int()
      .nonnegative()
      .optional()
      .describe('transformer blocks in the middle; those of the last level if not given'),
    context_dim: z
      .union([count, z.array(count)])
      .nullish()
      .describe('width of the context tokens'),
    n_embed: count.nullish().describe('predict logits of this many codes instead of out_channels'),
    legacy: z.boolean().optional().describe('rule for heads of the first release, openaimodel.py:541-549'),
    disable_self_attentions: z.array(z.boolean()).nullish().describe('for each level'),
    num_attention_blocks: z
      .array(z.int().nonnegative())
      .nullish()
      .describe('how many blocks of a level have attention'),
    disable_middle_self_attn: z.boolean().default(false),
    disable_middle_transformer: z.boolean().default(false),
    use_linear_in_transformer: z.boolean().default(false).describe('projections of the transformer are linear layers'),
    spatial_transformer_attn_type: z.enum(['softmax', 'softmax-xformers']).optional(),
    pooled_context: z
      .boolean()
      .default(false)
      .describe('not in the original: the mean of the context tokens, projected, is added to the time embedding'),
  })
  .transform(config => {
    const attends = config.context_dim != null || config.spatial_transformer_attn_type !== undefined
    // generative-models has transformers only, and neither of the two words; the others ask for use_spatial_transformer.
    const generativeModels = config.use_spatial_transformer === undefined && attends
    return {
      ...config,
      use_spatial_transformer: config.use_spatial_transformer ?? generativeModels,
      legacy: config.legacy ?? !generativeModels,
    }
  })
  .superRefine((config, { addIssue }) => {
    const problem = (path: keyof typeof config, message: string) => addIssue({ code: 'custom', path: [path], message })
    const levels = config.channel_mult.length
    for (const name of [
      'num_res_blocks',
      'transformer_depth',
      'disable_self_attentions',
      'num_attention_blocks',
    ] as const) {
      const value = config[name]
      if (Array.isArray(value) && value.length !== levels) {
        problem(name, `has ${value.length} entries, but channel_mult has ${levels} levels: give one for each`)
      }
    }
    if (config.num_heads < 1 && config.num_head_channels < 1) {
      problem('num_heads', 'give num_heads (attention heads) or num_head_channels (channels of a head)')
    }
    if (config.context_dim != null && !config.use_spatial_transformer) {
      problem('context_dim', 'a context is only used with use_spatial_transformer: true')
    }
    if (Array.isArray(config.context_dim) && new Set(config.context_dim).size !== 1) {
      problem('context_dim', 'one context serves all blocks: give one width')
    }
    if (config.num_classes === 'sequential' && config.adm_in_channels == null) {
      problem('adm_in_channels', 'num_classes: sequential needs the width of y')
    }
    if (config.pooled_context && config.context_dim == null) {
      problem('pooled_context', 'there is no context: give context_dim')
    }
    for (const mult of new Set([1, ...config.channel_mult])) {
      const channels = mult * config.model_channels
      if (channels % 32 !== 0)
        problem(
          'model_channels',
          `a level has ${channels} channels: a multiple of 32 is needed (GroupNorm has 32 groups)`,
        )
    }
  })

/** A checked configuration, defaults filled in. */
export type UnetConfig = z.infer<typeof unetConfig>
/** A configuration as people write it. */
export type UnetOptions = z.input<typeof unetConfig>

/** The entry of a level, where a word gives one number for all levels or a list. */
export const atLevel = (value: number | readonly number[], level: number): number =>
  typeof value === 'number' ? value : value[level]!

/** Width of the context tokens that a configuration wants; undefined where it takes none. */
export const contextWidth = ({ context_dim }: UnetConfig): number | undefined =>
  (Array.isArray(context_dim) ? context_dim[0] : context_dim) ?? undefined
