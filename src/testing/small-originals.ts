import { fromFloat32, type TensorData, toFloat32 } from '../weights/dtypes.js'
import { parametersOf } from './checkpoint.js'
import { drawnParameters } from './parameters.js'

/*
 * Models with the names of the published ones and few channels, which the original programs have run as well: what they
 * painted is in fixtures/whole. Widths are those by which checkpoints tell how many heads there are.
 */

const stage = {
  embed_dim: 4,
  ddconfig: {
    double_z: true,
    z_channels: 4,
    resolution: 256,
    in_channels: 3,
    out_ch: 3,
    ch: 32,
    ch_mult: [1, 1, 2, 2],
    num_res_blocks: 1,
    attn_resolutions: [],
    dropout: 0,
  },
}
const unet = {
  image_size: 64,
  in_channels: 4,
  out_channels: 4,
  model_channels: 64,
  num_res_blocks: 1,
  attention_resolutions: [2, 1],
  channel_mult: [1, 2],
  use_spatial_transformer: true,
  transformer_depth: 1,
}
const betas = { linear_start: 0.00085, linear_end: 0.012, parameterization: 'epsilon' }
const clip = {
  vocab_size: 49408,
  hidden_size: 128,
  intermediate_size: 256,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  max_position_embeddings: 77,
  hidden_act: 'quick_gelu',
}
const openClip = {
  vocab_size: 49408,
  context_length: 77,
  width: 128,
  heads: 2,
  layers: 3,
  embed_dim: 128,
  layer: 'penultimate',
  padding: 'zero',
}

const sd1 = (in_channels: number, conditioning: object = {}) => ({
  first_stage_config: stage,
  scale_factor: 0.18215,
  unet_config: { ...unet, in_channels, num_heads: 8, context_dim: 128 },
  conditioning: { clip_text: { ...clip, layer: 'last', padding: 'end' }, ...conditioning },
  diffusion: betas,
})

export const smallOriginals = {
  sd1: sd1(4),
  'sd1-inpainting': sd1(9, { mask: { form: 'stable-diffusion' } }),
  'sd2-v': {
    first_stage_config: stage,
    scale_factor: 0.18215,
    unet_config: { ...unet, num_head_channels: 64, use_linear_in_transformer: true, context_dim: 128 },
    conditioning: { clip_text: openClip },
    diffusion: { ...betas, parameterization: 'v' },
  },
  sdxl: {
    first_stage_config: stage,
    scale_factor: 0.13025,
    unet_config: {
      ...unet,
      image_size: 128,
      channel_mult: [1, 2],
      attention_resolutions: [2],
      transformer_depth: [1, 2],
      num_head_channels: 64,
      use_linear_in_transformer: true,
      context_dim: 192,
      num_classes: 'sequential',
      adm_in_channels: 128 + 6 * 256,
    },
    conditioning: {
      clip_text: {
        embedders: [
          {
            ...clip,
            hidden_size: 64,
            intermediate_size: 128,
            num_attention_heads: 1,
            num_hidden_layers: 3,
            layer: 'penultimate',
            normalised: false,
            padding: 'end',
          },
          { ...openClip, normalised: false, pooled: true },
        ],
        zero_empty: true,
      },
      sizes: { values: ['original_size', 'crop', 'target_size'], outdim: 256 },
    },
    diffusion: betas,
  },
}

const moments = 'first_stage_model.quant_conv.bias'

/** The checkpoint of a small original: always the same numbers. */
export function smallCheckpoint(name: keyof typeof smallOriginals): Map<string, TensorData> {
  const drawn = drawnCheckpoint(parametersOf(smallOriginals[name]))
  const bias = toFloat32(drawn.get(moments)!)
  // What the encoder tells of the spread of latents is next to nothing, as in every published one.
  return drawn.set(
    moments,
    fromFloat32(
      bias.map((value, i) => (i < 4 ? value : -30)),
      [bias.length],
    ),
  )
}

/** Numbers for parameters, in the order of these: always the same. */
export const drawnCheckpoint = (
  parameters: Parameters<typeof drawnParameters>[0]['parameters'],
): Map<string, TensorData> =>
  new Map(
    Object.entries(drawnParameters({ parameters })).map(([name, { data, shape }]) => [
      name,
      fromFloat32(Float32Array.from(data), shape),
    ]),
  )
