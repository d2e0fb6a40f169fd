import type { Device } from '../../runtime/index.js'
import type { CheckpointModel } from '../checkpoint-model.js'
import type { Plan } from '../settings/plan.js'
import type { Parts } from './parts.js'
import type { Start } from './start.js'

/*
 * A generation is stages, one file each, that know of one another only what these types say:
 *
 *   plan (settings/)   what is to be done
 *   way.ts             the levels of noise, and the sampler that goes down them
 *   conditions.ts      what the network is told, at each step
 *   start.ts           the latents to start from: noise, or a picture with noise; its known part
 *   network.ts         the network in one batch with and without conditions; guidance/ combines and leads its answers
 *   decode.ts          pictures of latents
 */

/** What a generation works with. */
export interface Work {
  readonly model: CheckpointModel
  readonly plan: Plan
  readonly device: Device
  readonly signal: AbortSignal | undefined
}

/** The same with the networks at hand. */
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
