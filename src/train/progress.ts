import { z } from 'zod'
import type { DrawState } from '../data/draws.js'

const torchState = z.object({
  words: z.array(z.number()),
  position: z.number(),
  spareNormal: z.number().nullable(),
})

/** How far a run is, as a checkpoint holds it beside the arrays of the training state. */
export const progressSchema = z.object({
  /** Steps done, over all parts of the run. */
  step: z.int().nonnegative(),
  /** Updates of the optimiser's moments. */
  updates: z.int().nonnegative(),
  /** How operations were lowered where it had been measured, by use. */
  tuned: z.record(z.string(), z.string()).optional(),
  /** Where the data stands. */
  data: z
    .object({
      epoch: z.int(),
      position: z.int(),
      count: z.int(),
      shuffle: torchState,
      random: torchState,
    })
    .optional(),
})

export interface Progress {
  readonly step: number
  readonly updates: number
  readonly tuned?: Readonly<Record<string, string>> | undefined
  readonly data?: DrawState | undefined
}
