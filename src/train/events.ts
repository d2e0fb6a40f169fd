import type { Image } from '../image/image.js'

/** What a trainer tells while it works. `step` counts finished steps from the run's very beginning, resumed parts included. */
export type TrainEvent =
  | {
      readonly type: 'start'
      readonly step: number
      readonly total: number
      /** Trained numbers. */
      readonly parameters: number
      /** Samples a step, over all its parts. */
      readonly batch: number
    }
  | {
      readonly type: 'step'
      readonly step: number
      readonly total: number
      readonly samples: number
      readonly loss: number
      /** The parts of the loss by name, unweighted. */
      readonly terms: Readonly<Record<string, number>>
      readonly learningRate: number
      /** Euclidean norm of all gradients before clipping. */
      readonly gradientNorm: number
      /** Share of the step's time that was spent waiting for its data. */
      readonly dataWait: number
      /** Damaged samples that were left out so far. */
      readonly skipped: number
    }
  /** Preparation that takes long enough to be told of: encoding a data set, reading pictures. */
  | { readonly type: 'prepare'; readonly what: string; readonly step: number; readonly total: number }
  | {
      readonly type: 'evaluation'
      readonly step: number
      readonly total: number
      readonly metrics: Readonly<Record<string, number>>
    }
  | { readonly type: 'samples'; readonly step: number; readonly total: number; readonly image: Image }
  /** Something went wrong that the run survives. */
  | { readonly type: 'warning'; readonly step: number; readonly total: number; readonly message: string }
  | { readonly type: 'checkpoint'; readonly step: number; readonly total: number; readonly path: string }
  | {
      readonly type: 'end'
      readonly step: number
      readonly total: number
      readonly reason: 'done' | 'aborted'
      readonly path: string
      /** Damaged samples that were left out, the first of them by name. */
      readonly skipped: { readonly count: number; readonly examples: readonly string[] }
    }
