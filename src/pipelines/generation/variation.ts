import { slerp } from '../../diffusion/index.js'
import type { BatchNoise } from '../../samplers/index.js'
import type { Plan } from '../settings/plan.js'
import type { Batch } from './stage.js'

/** The noise of a batch, its start turned towards that of variation seeds where a plan says so. */
export function variedNoise(
  { variationSeeds, variationStrength }: Plan,
  batch: Batch,
  noiseOf: (batch: Batch) => BatchNoise,
): BatchNoise {
  const own = noiseOf(batch)
  if (variationStrength === 0) return own
  const { first, shape } = batch
  const others = noiseOf({ ...batch, seeds: variationSeeds.slice(first, first + batch.seeds.length) })
  const column = { length: shape[2], stride: shape[3] }
  return { ...own, start: () => slerp(own.start(), others.start(), variationStrength, column) }
}
