import { narrowed } from './narrowed.js'

type Json = Readonly<Record<string, unknown>>

/** Of published models: their configurations, and the same networks with few channels. */
export interface Published {
  readonly family: string
  readonly config: Json
  readonly tiny: Json
}

const stage = (ch_mult: readonly number[], more: Json = {}, words: Json = {}) => ({
  ddconfig: {
    double_z: true,
    z_channels: 4,
    resolution: 256,
    in_channels: 3,
    out_ch: 3,
    ch: 128,
    ch_mult,
    num_res_blocks: 2,
    attn_resolutions: [],
    dropout: 0,
    ...more,
  },
  embed_dim: 4,
  ...words,
})
const kl8 = stage([1, 2, 4, 4])
const vq4 = stage([1, 2, 4], { double_z: false, z_channels: 3 }, { embed_dim: 3, n_embed: 8192 })
const vq8 = stage([1, 2, 2, 4], { double_z: false, attn_resolutions: [32] }, { n_embed: 16384 })
const betas = (linear_start: number, linear_end: number, parameterization = 'epsilon') => ({
  linear_start,
  linear_end,
  parameterization,
})
const unet = (words: Json) => ({ in_channels: 4, out_channels: 4, model_channels: 320, num_res_blocks: 2, ...words })
const transformers = { use_spatial_transformer: true, transformer_depth: 1 }
/** The UNet of Stable Diffusion 1 and 2. */
const sdUnet = (words: Json) =>
  unet({ image_size: 64, attention_resolutions: [4, 2, 1], channel_mult: [1, 2, 4, 4], ...transformers, ...words })

const clipL = {
  vocab_size: 49408,
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  max_position_embeddings: 77,
  hidden_act: 'quick_gelu',
}
const tower = (width: number, layers: number) => ({
  width,
  heads: width / 64,
  layers,
  vocab_size: 49408,
  embed_dim: width,
  context_length: 77,
  padding: 'zero',
})
const first = { ...clipL, layer: 'last', padding: 'end' }
const second = { ...tower(1024, 24), layer: 'penultimate' }
const big = { ...tower(1280, 32), layer: 'penultimate', normalised: false, pooled: true }
const xl = [{ ...clipL, layer: 'penultimate', normalised: false, padding: 'end' }, big]

const sd1 = (in_channels: number, conditioning: Json = {}) => ({
  first_stage_config: kl8,
  scale_factor: 0.18215,
  unet_config: sdUnet({ in_channels, num_heads: 8, context_dim: 768 }),
  conditioning: { clip_text: first, ...conditioning },
  diffusion: betas(0.00085, 0.012),
})
const sd2 = (in_channels: number, conditioning: Json = {}) => ({
  ...sd1(in_channels),
  unet_config: sdUnet({ in_channels, num_head_channels: 64, use_linear_in_transformer: true, context_dim: 1024 }),
  conditioning: { clip_text: second, ...conditioning },
})
const sdxl = (last: string, embedders: readonly Json[], words: Json, conditioning: Json = {}) => ({
  first_stage_config: kl8,
  scale_factor: 0.13025,
  unet_config: unet({
    image_size: 128,
    attention_resolutions: [4, 2],
    num_head_channels: 64,
    use_spatial_transformer: true,
    use_linear_in_transformer: true,
    num_classes: 'sequential',
    ...words,
  }),
  conditioning: {
    clip_text: { embedders, zero_empty: last === 'target_size' },
    sizes: { values: ['original_size', 'crop', last], outdim: 256 },
    ...conditioning,
  },
  diffusion: betas(0.00085, 0.012),
})
const base = { channel_mult: [1, 2, 4], transformer_depth: [1, 2, 10], context_dim: 2048, adm_in_channels: 2816 }
const ldm = (end: number, words: Json, conditioning?: Json, first_stage_config: Json = vq4) => ({
  first_stage_config,
  scale_factor: 1,
  unet_config: { image_size: 64, in_channels: 3, out_channels: 3, num_res_blocks: 2, ...words },
  ...(conditioning && { conditioning }),
  diffusion: betas(0.0015, end),
})
const five = { model_channels: 192, attention_resolutions: [8, 4, 2], channel_mult: [1, 2, 3, 5], ...transformers }
const bert = (n_embed: number, n_layer: number, vocab_size: number, max_seq_len: number) => ({
  n_embed,
  n_layer,
  vocab_size,
  max_seq_len,
  heads: 8,
  dim_head: 64,
})
const numbered = (count: number) => Array.from({ length: count }, (_, i) => String(i))
const classes = (n_classes: number) => ({
  class: { embed_dim: 512, n_classes, ...(n_classes === 1001 && { names: numbered(1000) }) },
})
const { max_seq_len: _, ...boxes } = bert(512, 16, 8192, 92)

/**
 * Sources: the YAML files of CompVis/stable-diffusion, CompVis/latent-diffusion, Stability-AI/stablediffusion and
 * Stability-AI/generative-models, by their words.
 */
const configs: readonly (readonly [string, Json])[] = [
  ['sd1', sd1(4)],
  ['sd1-inpainting', sd1(9, { mask: { form: 'stable-diffusion' } })],
  ['sd2', sd2(4)],
  ['sd2-inpainting', sd2(9, { mask: { form: 'stable-diffusion' } })],
  ['sd2-depth', sd2(5, { depth: {} })],
  [
    'sd-x4-upscaler',
    {
      first_stage_config: stage([1, 2, 4]),
      scale_factor: 0.08333,
      unet_config: unet({
        image_size: 128,
        in_channels: 7,
        model_channels: 256,
        attention_resolutions: [8, 4, 2],
        channel_mult: [1, 2, 2, 4],
        num_classes: 1000,
        // At the first level, where there is no attention, the original says true as well.
        disable_self_attentions: [false, true, true, false],
        num_heads: 8,
        ...transformers,
        use_linear_in_transformer: true,
        context_dim: 1024,
      }),
      conditioning: { clip_text: second, low_resolution: { factor: 4, noise_augmentation: 350 } },
      diffusion: betas(1e-4, 2e-2, 'v'),
    },
  ],
  ['sdxl', sdxl('target_size', xl, base)],
  ['sdxl-inpainting', sdxl('target_size', xl, { ...base, in_channels: 9 }, { mask: { form: 'stable-diffusion' } })],
  [
    'sdxl-refiner',
    sdxl('aesthetic_score', [big], {
      model_channels: 384,
      channel_mult: [1, 2, 4, 4],
      transformer_depth: 4,
      context_dim: 1280,
      adm_in_channels: 2560,
    }),
  ],
  [
    'ldm-unconditional',
    ldm(0.0195, {
      model_channels: 224,
      attention_resolutions: [8, 4, 2],
      channel_mult: [1, 2, 3, 4],
      num_head_channels: 32,
    }),
  ],
  [
    'ldm-unconditional',
    ldm(
      0.0155,
      {
        image_size: 32,
        in_channels: 4,
        out_channels: 4,
        model_channels: 192,
        attention_resolutions: [8, 4, 2, 1],
        channel_mult: [1, 2, 2, 4, 4],
        num_heads: 8,
        use_scale_shift_norm: true,
        resblock_updown: true,
      },
      undefined,
      kl8,
    ),
  ],
  [
    'ldm-class',
    ldm(
      0.0195,
      {
        image_size: 32,
        in_channels: 4,
        out_channels: 4,
        model_channels: 256,
        attention_resolutions: [4, 2, 1],
        channel_mult: [1, 2, 4],
        num_head_channels: 32,
        ...transformers,
        context_dim: 512,
      },
      classes(1000),
      vq8,
    ),
  ],
  ['ldm-class', ldm(0.0195, { ...five, num_heads: 1, context_dim: 512 }, classes(1001))],
  [
    'ldm-text',
    {
      ...sd1(4),
      unet_config: { ...sd1(4).unet_config, image_size: 32, context_dim: 1280 },
      conditioning: { text: bert(1280, 32, 30522, 77) },
    },
  ],
  ['ldm-text', ldm(0.0195, { ...five, num_head_channels: 32, context_dim: 640 }, { text: bert(640, 32, 30522, 77) })],
  [
    'ldm-layout',
    ldm(
      0.0205,
      {
        model_channels: 128,
        attention_resolutions: [8, 4, 2],
        channel_mult: [1, 2, 3, 4],
        num_head_channels: 32,
        use_spatial_transformer: true,
        transformer_depth: 3,
        context_dim: 512,
      },
      { layout: { ...boxes, max_objects: 30, encode_crop: true, labels: numbered(8191), guided: false } },
    ),
  ],
  [
    'ldm-semantic',
    ldm(
      0.0205,
      // Of the original's 32, 16 and 8 only what its three levels have is used: none.
      { in_channels: 6, model_channels: 128, attention_resolutions: [], channel_mult: [1, 4, 8], num_heads: 8 },
      { map: { in_channels: 182, out_channels: 3, n_stages: 2 } },
    ),
  ],
  [
    'ldm-inpainting',
    ldm(
      0.0205,
      {
        in_channels: 7,
        model_channels: 256,
        attention_resolutions: [8, 4, 2],
        channel_mult: [1, 2, 3, 4],
        num_heads: 8,
        resblock_updown: true,
      },
      { mask: { form: 'ldm' } },
      stage([1, 2, 4], { double_z: false, z_channels: 3, attn_type: 'none' }, { embed_dim: 3, n_embed: 8192 }),
    ),
  ],
  [
    'ldm-super-resolution',
    ldm(
      0.0155,
      // Of the original's 16 and 8 only the latter is among its factors.
      {
        in_channels: 6,
        model_channels: 160,
        attention_resolutions: [8],
        channel_mult: [1, 2, 2, 4],
        num_head_channels: 32,
      },
      { low_resolution: { factor: 4 } },
    ),
  ],
  [
    'rdm',
    {
      ...ldm(
        0.015,
        {
          image_size: 48,
          in_channels: 16,
          out_channels: 16,
          model_channels: 448,
          attention_resolutions: [4, 2, 1],
          channel_mult: [1, 2, 3, 4],
          num_head_channels: 32,
          ...transformers,
          context_dim: 768,
        },
        { neighbours: { width: 768, k: 11, network: 'CLIP ViT-L/14' } },
        stage([1, 1, 2, 2, 4], { z_channels: 16, attn_resolutions: [16] }, { embed_dim: 16 }),
      ),
      scale_factor: 0.22765929,
    },
  ],
]

/** The published models whose files keys and shapes tell apart. */
export const published: readonly Published[] = configs.map(([family, config]) => ({
  family,
  config,
  tiny: narrowed(config),
}))
