import { type Program, trace } from '../tensor/program.js'
import { f32, i64 } from '../tensor/tensor.js'
import { factorOf, type ModelConfig } from './model-config.js'
import { decodeLatents, encodeText, predict } from './networks.js'

/** Pixels of a picture. */
export interface Size {
  readonly width: number
  readonly height: number
}

/** [channels, height, width] of the latents of a picture. */
export function latentShape(config: ModelConfig, { width, height }: Size): readonly [number, number, number] {
  const factor = factorOf(config)
  return [config.first_stage_config.embed_dim, height / factor, width / factor]
}

/** `tokens` i64 [batch, length] -> `context` [batch, length, width], for any batch. */
export const textProgram = (config: ModelConfig): Program =>
  trace({ tokens: i64(-1, config.cond_stage_config!.max_seq_len) }, (at, { tokens }) => ({
    context: encodeText(at, config, tokens),
  }))

/** Latents `x` [batch, c, h, w], times `t` [batch] and, with text, `context` -> `prediction`, for any batch. */
export function denoisingProgram(config: ModelConfig, size: Size): Program {
  const { cond_stage_config: text } = config
  const specs = { x: f32(-1, ...latentShape(config, size)), t: f32(-1) }
  const context = text && f32(-1, text.max_seq_len, text.n_embed)
  return trace(context ? { ...specs, context } : specs, (at, inputs) => ({ prediction: predict(at, config, inputs) }))
}

/** Latents `z` [batch, c, h, w] of the diffusion model -> `images` [batch, 3, height, width] in [-1, 1], for any batch. */
export const decodingProgram = (config: ModelConfig, size: Size): Program =>
  trace({ z: f32(-1, ...latentShape(config, size)) }, (at, { z }) => ({ images: decodeLatents(at, config, z) }))
