import { latentChannels } from '../autoencoder/config.js'
import { inputsOf, type Place } from '../conditioning/index.js'
import { type Program, trace } from '../tensor/program.js'
import { f32, type Spec } from '../tensor/tensor.js'
import { factorOf, type ModelConfig } from './model-config.js'
import { decodeLatents, embed, predict } from './networks.js'

/** Pixels of a picture. */
export interface Size {
  readonly width: number
  readonly height: number
}

/** [channels, height, width] of the latents of a picture. */
export function latentShape(config: ModelConfig, { width, height }: Size): readonly [number, number, number] {
  const factor = factorOf(config)
  return [latentChannels(config.first_stage_config), height / factor, width / factor]
}

/** A picture's size and that of its latents, as conditions are told. */
export const placeOf = (config: ModelConfig, size: Size): Place => ({
  width: size.width,
  height: size.height,
  latents: latentShape(config, size),
})

/** Inputs with an axis for the batch, open (-1) or of a number of samples. */
export const batched = (specs: Readonly<Record<string, Spec>>, batch: number): Record<string, Spec> =>
  Object.fromEntries(
    Object.entries(specs).map(([name, { dtype, shape }]) => [name, { dtype, shape: [batch, ...shape] }]),
  )

/**
 * What conditions become in the network, for any batch: their inputs (`tokens`, `labels`, ...) -> `context` [batch, tokens,
 * width], `concat` [batch, c, h, w] and `y` [batch], as far as there are any; undefined for a model without conditions.
 */
export function conditionProgram(config: ModelConfig, size: Size): Program | undefined {
  const place = placeOf(config, size)
  const specs = batched(inputsOf(config.conditioning, place), -1)
  if (Object.keys(specs).length === 0) return undefined
  return trace(specs, (at, inputs) => ({ ...embed(at, config, inputs, place) }))
}

/** Latents `x` [batch, c, h, w], times `t` [batch] and what `conditionProgram` gives -> `prediction`, for any batch. */
export function denoisingProgram(config: ModelConfig, size: Size): Program {
  const conditions = conditionProgram(config, size)?.outputs ?? {}
  const specs = { x: f32(-1, ...latentShape(config, size)), t: f32(-1) }
  const given = Object.entries(conditions).map(([name, { dtype, shape }]) => [name, { dtype, shape }] as const)
  return trace({ ...specs, ...Object.fromEntries(given) }, (at, inputs) => ({
    prediction: predict(at, config, inputs),
  }))
}

/** Latents `z` [batch, c, h, w] of the diffusion model -> `images` [batch, 3, height, width] in [-1, 1], for any batch. */
export const decodingProgram = (config: ModelConfig, size: Size): Program =>
  trace({ z: f32(-1, ...latentShape(config, size)) }, (at, { z }) => ({ images: decodeLatents(at, config, z) }))
