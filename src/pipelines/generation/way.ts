import { type Level, samplingPlan } from '../../diffusion/index.js'
import { type Noise, type Sampling, type SamplingModel, sample } from '../../samplers/index.js'
import type { Work } from './stage.js'

/** The way from noise to a picture. */
export interface Way {
  /** Its number of steps. */
  readonly steps: number
  /** Where it begins. */
  readonly start: Level
  /** Goes it from latents at the start's level. */
  run(model: Pick<SamplingModel, 'network' | 'parameterization'>, x: Float32Array, noise: Noise): Sampling
}

/**
 * The way that a plan asks for.
 *
 * @throws RangeError for a number of steps that the model's schedule has no room for.
 */
export function wayOf({ plan, model: { alphasCumprod } }: Pick<Work, 'plan' | 'model'>): Way {
  const { steps, schedule, sampler, eta } = plan
  const path = samplingPlan(alphasCumprod, { steps, schedule, strength: plan.init?.strength })
  return {
    steps: path.length,
    start: path[0]!.from,
    run: (model, x, noise) => sample(sampler, { ...model, alphasCumprod }, x, path, { noise, eta }),
  }
}
