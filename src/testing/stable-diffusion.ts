import { unetConfig } from '../unet/config.js'

/** The UNet of Stable Diffusion 1.5. Source: CompVis/stable-diffusion, configs/stable-diffusion/v1-inference.yaml. */
export const stableDiffusionUnet = unetConfig.parse({
  in_channels: 4,
  out_channels: 4,
  model_channels: 320,
  attention_resolutions: [4, 2, 1],
  num_res_blocks: 2,
  channel_mult: [1, 2, 4, 4],
  num_heads: 8,
  use_spatial_transformer: true,
  context_dim: 768,
  legacy: false,
})
