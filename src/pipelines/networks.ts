import { decodeFirstStage as decode, encodeFirstStage as encode } from '../autoencoder/first-stage.js'
import type { Posterior } from '../autoencoder/posterior.js'
import { add, div, mul, sub } from '../tensor/binary.js'
import { constant } from '../tensor/constant.js'
import type { Scope } from '../tensor/program.js'
import type { Tensor } from '../tensor/tensor.js'
import { textEncoder } from '../text/encoder.js'
import { unet } from '../unet/unet.js'
import { channelValues, type ModelConfig } from './model-config.js'

/** Distribution of the first stage's latents for images [batch, 3, h, w] in [-1, 1]. */
export const encodeImages = (at: Scope, config: ModelConfig, images: Tensor): Posterior =>
  encode(at('first_stage_model'), config.first_stage_config, images)

/** Images of the first stage's own latents [batch, embed_dim, h, w]. */
export const decodeFirstStage = (at: Scope, config: ModelConfig, latents: Tensor): Tensor =>
  decode(at('first_stage_model'), config.first_stage_config, latents)

/** Images of the diffusion model's latents, which are shifted and scaled. */
export const decodeLatents = (at: Scope, config: ModelConfig, latents: Tensor): Tensor =>
  decodeFirstStage(at, config, fromModelScale(config, latents))

/** Latents of the first stage as the diffusion model has them. */
export const toModelScale = (config: ModelConfig, latents: Tensor): Tensor =>
  mul(sub(latents, factor(config, 'shift_factor')), factor(config, 'scale_factor'))

/** Latents of the diffusion model as the first stage has them. */
export const fromModelScale = (config: ModelConfig, latents: Tensor): Tensor =>
  add(div(latents, factor(config, 'scale_factor')), factor(config, 'shift_factor'))

const factor = (config: ModelConfig, name: 'scale_factor' | 'shift_factor'): Tensor => {
  const channels = config.first_stage_config.embed_dim
  return constant(channelValues(config[name], channels), [1, channels, 1, 1])
}

/** Context tokens [batch, length, n_embed] of token ids i64 [batch, length]. */
export function encodeText(at: Scope, config: ModelConfig, tokens: Tensor): Tensor {
  if (config.cond_stage_config === undefined) throw new TypeError('encodeText: the model has no text encoder')
  return textEncoder(at('cond_stage_model'), config.cond_stage_config, tokens)
}

/** What the diffusion model predicts of noisy latents [batch, embed_dim, h, w] at times [batch]. */
export function predict(
  at: Scope,
  config: ModelConfig,
  inputs: { x: Tensor; t: Tensor; context?: Tensor | undefined },
): Tensor {
  if (config.unet_config === undefined) throw new TypeError('predict: the model is a first stage alone, without a UNet')
  return unet(at('model.diffusion_model'), config.unet_config, inputs)
}
