import type { Level, Parameterization } from '../../../diffusion/index.js'
import type { Attended } from '../../../guidance/index.js'
import type { Told } from '../conditions/told.js'
import type { Batch, Started } from '../stage.js'

/** What a network said of a batch, and what guidance has made of it so far; predictions are raw, [batch, ...]. */
export interface Answer {
  readonly x: Float32Array
  readonly t: number
  readonly level: Level
  readonly parameterization: Parameterization
  readonly shape: Batch['shape']
  readonly told: Told
  /** Under the conditions. */
  readonly conditional: Float32Array
  /** Under what guidance leads away from, where it is asked for. */
  readonly unconditional: Float32Array | undefined
  /** By each weaker copy of the network, under the conditions. */
  readonly weakened: readonly Float32Array[]
  /** What the network's middle attended to where guidance leads away from, else under the conditions. */
  attended(): Attended
  /** The prediction for other latents [batch, ...], under the same. */
  again(x: Float32Array): Promise<Float32Array>
  /** Whether guidance acts at this level. */
  readonly leads: boolean
  /** By the guidances before; at first the conditional prediction. */
  readonly led: Float32Array
}

/** One link of the chain that predictions go through before a sampler sees them. */
export interface Guidance {
  /** The prediction that the answer becomes. */
  lead(answer: Answer): Float32Array | Promise<Float32Array>
  /** Frees what it holds. */
  close?(): Promise<void>
}

/** Opens a guidance; undefined where the plan does not ask for it. */
export type OpenGuidance = (stage: Started) => Guidance | undefined | Promise<Guidance | undefined>
