import type { Level, Step } from '../../diffusion/index.js'
import type { Image } from '../../image/index.js'
import type { Device } from '../../runtime/index.js'
import type { BatchNoise, Before, Noise, Sampling, SamplingModel } from '../../samplers/index.js'
import type { CheckpointModel } from '../loading/checkpoint-model.js'
import type { Plan } from '../settings/plan.js'
import type { Parts, Variant } from './parts.js'
import type { Lease } from './recent.js'

/*
 * A generation is stages, one file each, that know of one another only what these types say:
 *
 *   plan (settings/)   what is to be done
 *   way.ts             the levels of noise, and the sampler that goes down them
 *   conditions/        what the network is told, at each step
 *   start.ts           the latents to start from: noise, or a picture with noise; its known part
 *   network/           the network in one batch with and without conditions; guidance/ combines and leads its answers
 *   decode.ts          pictures of latents
 */

/** What a generation works with. */
export interface Work {
  readonly model: CheckpointModel
  readonly plan: Plan
  readonly device: Device
  readonly signal: AbortSignal | undefined
  /** The model that goes the end of the way, if another one does. */
  readonly refinement?: Refinement | undefined
}

/** What a generation borrows from its model. */
export interface Lender {
  readonly name: string
  /** The networks of a variant, until they are given back. */
  lend(variant: Variant): Promise<Lease<Parts>>
}

/** Another model that goes the end of a way, with its own plan for the same pictures. */
export interface Refinement extends Pick<Work, 'model' | 'plan' | 'device'> {
  readonly lender: Lender
}

/** The work with the networks at hand. */
export interface Stage extends Work {
  readonly parts: Parts
  /** [channels, height, width] of the latents. */
  readonly latents: readonly [number, number, number]
}

/** The same with what its pictures start from. */
export interface Started extends Stage {
  readonly start: Start
}

/** The part of a picture that stays as it is. */
export interface Known {
  /** Latents of the picture, [channels, height, width]. */
  readonly original: Float32Array
  /** How far they spread, where the encoder tells that. */
  readonly deviations?: Float32Array | undefined
  /** 1 for latents that stay and 0 for those that are painted, [height, width]. */
  readonly kept: Float32Array
}

/** Pictures that are made together. */
export interface Batch {
  readonly seeds: readonly number[]
  /** The index of its first picture. */
  readonly first: number
  /** [batch, channels, height, width]. */
  readonly shape: readonly [number, number, number, number]
}

/** The way from noise to a picture. */
export interface Way {
  /** Its number of steps. */
  readonly steps: number
  readonly path: readonly Step[]
  /** Where it begins. */
  readonly start: Level
  /** What unit normals are multiplied by to start from noise alone. */
  readonly startScale: number
  /** The noise of a batch: each of its pictures draws by its own seed alone. */
  noise(batch: Pick<Batch, 'seeds' | 'first' | 'shape'>): BatchNoise
  /** Goes it from latents at the start's level, or at that of a later step. */
  run(
    model: Pick<SamplingModel, 'network' | 'parameterization'>,
    x: Float32Array,
    options: { readonly noise: Noise; readonly before?: Before | undefined; readonly from?: number },
  ): Sampling
}

/** What the pictures of a generation start from. */
export interface Start {
  /** The part of the picture that stays, if a mask says so. */
  readonly known: Known | undefined
  /** Latents of a batch at the level where its way begins. */
  latents(way: Way, noise: BatchNoise, batch: Batch): Float32Array
  /** What is done to a finished picture: what is known stays as it is. */
  finish(picture: Image): Image
}
