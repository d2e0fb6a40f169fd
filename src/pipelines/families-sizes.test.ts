import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sizeOf } from '../tensor/shape.js'
import { modelConfig } from './model-config.js'
import { conditionProgram, denoisingProgram } from './programs.js'

const autoencoder = {
  embed_dim: 4,
  ddconfig: {
    z_channels: 4,
    resolution: 256,
    in_channels: 3,
    out_ch: 3,
    ch: 128,
    ch_mult: [1, 2, 4, 4],
    num_res_blocks: 2,
    attn_resolutions: [],
  },
}
const clipL = {
  vocab_size: 49408,
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
}
const clipH = { vocab_size: 49408, width: 1024, heads: 16, layers: 24, embed_dim: 1024, layer: 'penultimate' }
const clipBigG = {
  vocab_size: 49408,
  width: 1280,
  heads: 20,
  layers: 32,
  embed_dim: 1280,
  layer: 'penultimate',
  pooled: true,
}
const xl = { num_res_blocks: 2, num_head_channels: 64, use_linear_in_transformer: true, num_classes: 'sequential' }
const two = {
  model_channels: 320,
  attention_resolutions: [4, 2, 1],
  channel_mult: [1, 2, 4, 4],
  num_res_blocks: 2,
  num_head_channels: 64,
  use_spatial_transformer: true,
  use_linear_in_transformer: true,
  context_dim: 1024,
  legacy: false,
}

/**
 * Parameters of the UNet as the originals' classes have them (counted in torch by the configurations that generative-models
 * and stablediffusion publish), and of the text encoders as Hugging Face publishes them, without what nothing uses.
 */
const families = {
  'XL base': {
    unet: {
      ...xl,
      model_channels: 320,
      attention_resolutions: [4, 2],
      channel_mult: [1, 2, 4],
      transformer_depth: [1, 2, 10],
      context_dim: 2048,
      adm_in_channels: 2816,
    },
    conditioning: {
      clip_text: { embedders: [{ ...clipL, layer: 'penultimate', normalised: false }, clipBigG] },
      sizes: {},
    },
    parameters: {
      'model.diffusion_model.': 2567463684,
      'conditioner.embedders.0.': 115972608,
      'conditioner.embedders.1.': 694659840,
    },
  },
  'XL refiner': {
    unet: {
      ...xl,
      model_channels: 384,
      attention_resolutions: [4, 2],
      channel_mult: [1, 2, 4, 4],
      transformer_depth: 4,
      context_dim: [1280, 1280, 1280, 1280],
      adm_in_channels: 2560,
    },
    conditioning: {
      clip_text: { embedders: [clipBigG] },
      sizes: { values: ['original_size', 'crop', 'aesthetic_score'] },
    },
    parameters: { 'model.diffusion_model.': 2259526660, 'conditioner.embedders.0.': 694659840 },
  },
  '2': {
    unet: two,
    conditioning: { clip_text: clipH },
    parameters: { 'model.diffusion_model.': 865910724, 'cond_stage_model.': 340387840 },
  },
  '2 inpainting': {
    unet: { ...two, in_channels: 9 },
    conditioning: { clip_text: clipH, mask: { form: 'stable-diffusion' } },
    parameters: { 'model.diffusion_model.': 865925124 },
  },
  '2 depth': {
    unet: { ...two, in_channels: 5 },
    conditioning: { clip_text: clipH, depth: {} },
    parameters: { 'model.diffusion_model.': 865913604 },
  },
  'x4 upscaler': {
    unet: {
      ...two,
      in_channels: 7,
      model_channels: 256,
      attention_resolutions: [2, 4, 8],
      channel_mult: [1, 2, 2, 4],
      disable_self_attentions: [true, true, true, false],
      num_head_channels: -1,
      num_heads: 8,
      num_classes: 1000,
    },
    conditioning: { clip_text: clipH, low_resolution: { factor: 4, noise_augmentation: 350 } },
    parameters: { 'model.diffusion_model.': 473398020 },
  },
}

for (const [name, { unet, conditioning, parameters }] of Object.entries(families)) {
  test(`Stable Diffusion ${name} has the parameters of the original`, () => {
    const config = modelConfig.parse({
      first_stage_config: autoencoder,
      unet_config: { image_size: 64, in_channels: 4, out_channels: 4, ...unet },
      conditioning,
    })
    const size = { width: 512, height: 512 }
    const all = [denoisingProgram(config, size), conditionProgram(config, size)!].flatMap(
      ({ parameters }) => parameters,
    )
    const count = (prefix: string) =>
      all.filter(({ name }) => name.startsWith(prefix)).reduce((sum, { shape }) => sum + sizeOf(shape), 0)
    const found = Object.fromEntries(Object.keys(parameters).map(prefix => [prefix, count(prefix)]))
    assert.deepEqual(found, parameters)
  })
}
