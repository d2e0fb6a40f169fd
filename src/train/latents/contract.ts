import type { Sight, TrainingRecord } from '../../conditioning/index.js'
import type { Dataset, Source, Transform } from '../../data/index.js'
import type { Image, Size } from '../../image/index.js'
import type { ModelConfig } from '../../pipelines/model-config.js'
import type { Device } from '../../runtime/index.js'
import type { Checkpoint } from '../../weights/checkpoint.js'

/** A picture's posterior that is asked for. */
export interface LatentDraw {
  /** Position in the data set. */
  readonly index: number
  /** Mirrored if below 0.5, as pictures are. */
  readonly flip: number
  /** Where a random crop lies; in the middle if left out. */
  readonly x?: number
  readonly y?: number
}

export type LatentShape = readonly [channels: number, height: number, width: number]

/** Posteriors of all pictures of a data set under a first stage, in files that are read where they are wanted. */
export interface Latents extends Sights {
  /** Of most pictures' latents, [channels, height, width]; of all unless they were sorted into buckets. */
  readonly shape: LatentShape
  shapeOf(index: number): LatentShape
  /** The pictures that have latents, in the order of their positions. */
  readonly dataset: Dataset
  /** Posteriors of pictures of one shape, [draws, channels, height, width] each; `deviations` are roots of variances. */
  read(draws: readonly LatentDraw[]): Promise<Posteriors>
  close(): Promise<void>
}

/** What the first stage makes of pictures. */
export interface Posteriors {
  readonly shape: LatentShape
  readonly means: Float32Array
  readonly deviations: Float32Array
}

/** What is encoded, by which first stage, and how it is kept. */
export interface LatentOptions {
  readonly device: Device
  readonly source: Source
  readonly checkpoint: Pick<Checkpoint, 'weights' | 'read'>
  readonly config: ModelConfig
  readonly size: number
  readonly flip: boolean
  /** What the conditions of a model will look at beside words and labels; nothing by default. */
  readonly sights?: readonly Sight[]
  /** Shapes that pictures are sorted into; the square of `size` by default. */
  readonly shapes?: readonly Size[] | undefined
  /** How much of a picture random crops show; such are encoded in every step instead of once. */
  readonly shares?: Transform['shares']
  /** Whether damaged pictures end it; by default they are left out and counted. */
  readonly damaged?: 'skip' | 'refuse'
  /** Where latents are kept; latentkit's folder in the user's cache by default. */
  readonly folder?: string
  /** Bytes of latents in a file. */
  readonly fileBytes?: number
  readonly signal?: AbortSignal | undefined
}

/** What the files of latents keep of pictures: what is to be seen, where these cannot be read again one by one. */
export interface Keeping {
  readonly keeps?: readonly Sight[] | undefined
}

/** What of a drawn picture its conditions look at. */
export type Seen = Pick<TrainingRecord, 'mirrored' | 'pixels' | 'size' | 'visible' | 'map' | 'hint'>

/** Looks at pictures again, as the network sees them. */
export interface Sights {
  see(draw: LatentDraw): Seen
  /** A picture as it is seen, not mirrored. */
  image(index: number): Promise<Image>
}
