import { z } from 'zod'
import type { DataState } from '../data/batching.js'

const torchState = z.object({
  words: z.array(z.number()),
  position: z.number(),
  spareNormal: z.number().nullable(),
})

const count = z.int().nonnegative()
const address = z.tuple([count, count])
const draw = z.object({ index: count, caption: z.number(), x: z.number(), y: z.number(), flip: z.number() })
const drawState = z.object({
  epoch: count,
  position: count,
  count,
  shuffle: torchState,
  random: torchState,
  pending: z.array(draw).optional(),
})
const streamState = z.object({
  draws: z.object({ seed: count, epoch: count, before: count, from: address, taken: count, parts: count }),
  pending: z.array(z.object({ at: address, epoch: count, number: count })),
})

/** How far a run is, as a checkpoint holds it beside the arrays of the training state. */
export const progressSchema = z.object({
  /** Steps done, over all parts of the run. */
  step: z.int().nonnegative(),
  /** Updates of the optimiser's moments. */
  updates: z.int().nonnegative(),
  /** How operations were lowered where it had been measured, by use. */
  tuned: z.record(z.string(), z.string()).optional(),
  /** In mixed precision: what losses are multiplied by, and updates since that was changed. */
  lossScale: z.object({ value: z.number().positive(), updates: z.int().nonnegative() }).optional(),
  /** Where the data stands. */
  data: z.union([drawState, streamState]).optional(),
})

export interface Progress {
  readonly step: number
  readonly updates: number
  readonly tuned?: Readonly<Record<string, string>> | undefined
  readonly lossScale?: { readonly value: number; readonly updates: number } | undefined
  readonly data?: DataState | undefined
}
