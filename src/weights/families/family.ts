import type { AutoencoderWords, FirstStageWords } from './first-stage-words.js'
import type { Names } from './names.js'
import type { TowerWords } from './tower-words.js'
import type { UnetWords } from './unet-words.js'

/** The networks that were found in a file, in the words that their tensors tell, and the file's names for all else. */
export interface Parts {
  readonly names: Names
  readonly unet: UnetWords | undefined
  readonly stage: FirstStageWords | undefined
  /** Text encoders of CLIP's kind: one at `cond_stage_model`, or those at `conditioner.embedders`. */
  readonly towers: readonly TowerWords[]
}

/** A configuration as plain data; the schema that checks it is the pipelines'. */
export type ConfigJson = Readonly<Record<string, unknown>>

/** A kind of published model: how its files are known, and what of its configuration no tensor tells. */
export interface Family {
  /** What people call it by. */
  readonly name: string
  /** What messages call it. */
  readonly title: string
  /** Whether these parts are of this family, as far as names and shapes tell. */
  fits(parts: Parts): boolean
  /** Parts that it does not go without, for messages of what is missing. */
  readonly needs?: readonly ('unet' | 'stage')[]
  config(parts: Parts): ConfigJson
}

/** Channels beside the noisy latents. */
export const beside = ({ unet, stage }: Parts): number =>
  unet === undefined || stage === undefined ? 0 : unet.in_channels - latentChannels(stage)

export const latentChannels = (stage: FirstStageWords): number =>
  'embed_dim' in stage ? stage.embed_dim : stage.latent_channels

/** Pixels along a side for which a latent stands. */
export const factorOf = (stage: FirstStageWords): number =>
  'ddconfig' in stage ? 2 ** (stage.ddconfig.ch_mult.length - 1) : 8

export const isAutoencoder = (stage: FirstStageWords | undefined): stage is AutoencoderWords =>
  stage !== undefined && 'ddconfig' in stage

/** The betas between two ends, as CompVis' linear schedule has them. */
export const linearBetas = (linear_start: number, linear_end: number, parameterization = 'epsilon'): ConfigJson => ({
  parameterization,
  timesteps: 1000,
  beta_schedule: 'linear',
  linear_start,
  linear_end,
})
