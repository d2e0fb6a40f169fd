import { type Level, type Step, samplingPlan } from '../../diffusion/index.js'
import {
  type BatchNoise,
  plainNoise,
  profileNoise,
  profiles,
  profileWay,
  type SampleOptions,
  type SamplerName,
  type SeededPicture,
  sample,
  samplers,
  scale,
} from '../../samplers/index.js'
import { listensTo } from '../settings/init.js'
import type { Plan } from '../settings/plan.js'
import type { Way, Work } from './stage.js'

/** A batch that a step has left, as a way begins: samplers over noise levels leave it as image + sigma noise. */
const begun = (sampler: SamplerName, x: Float32Array, { from }: Step): Float32Array =>
  'overSigmas' in samplers[sampler] ? scale(x, 1 / Math.hypot(from.sigma / from.alpha, 1)) : x

interface Course {
  readonly path: readonly Step[]
  readonly start: Level
  readonly startScale: number
  readonly options?: Omit<SampleOptions, 'noise'>
  noise(request: Parameters<typeof plainNoise>[0]): BatchNoise
}

/**
 * The way that a plan asks for.
 *
 * @throws RangeError for a number of steps that the model's schedule has no room for, LatentkitError for a sampler or
 *   schedule that the tool of a profile lacks.
 */
export function wayOf({ plan, model }: Pick<Work, 'plan' | 'model'>): Way {
  const { sampler, eta } = plan
  const { alphasCumprod } = model
  const { path, start, startScale, options, noise } = courseOf(plan, model)
  const source = plan.noiseSource ?? (plan.profile ? profiles[plan.profile].draws : 'cpu')
  return {
    steps: path.length,
    path,
    start,
    startScale,
    noise: ({ seeds, first, shape: [, ...shape] }) =>
      noise({ pictures: seeds.map((seed, i) => pictureOf(plan, seed, first + i)), shape, source }),
    run: (network, x, { from = 0, ...given }) =>
      sample(
        sampler,
        { ...network, alphasCumprod },
        from === 0 ? x : begun(sampler, x, path[from]!),
        path.slice(from),
        {
          ...options,
          ...given,
          ...(eta !== undefined && { eta }),
        },
      ),
  }
}

function courseOf(plan: Plan, { alphasCumprod, config }: Work['model']): Course {
  const { steps, sampler, seedDelta, init } = plan
  const asked = { ...plan, alphasCumprod }
  if (plan.profile === undefined) {
    const path = samplingPlan(alphasCumprod, { ...asked, steps, strength: init?.strength })
    return {
      path,
      start: path[0]!.from,
      startScale: 1,
      noise: plainNoise,
    }
  }
  const tool = profiles[plan.profile]
  const xl = listensTo(config.conditioning, 'originalSize')
  const way = profileWay(tool, { ...asked, xl, strength: init?.strength })
  return {
    path: way.steps,
    start: way.start,
    startScale: way.startScale,
    options: way.options,
    noise: request => {
      const first = pictureOf(plan, plan.seeds[0]!, 0)
      return profileNoise(tool, way, { ...request, sampler, seedDelta, first })
    },
  }
}

/** A picture of a plan, alone or at its place among those that a tool makes at once. */
function pictureOf({ batchSize, batchPlace = 0 }: Plan, seed: number, index: number): SeededPicture {
  return batchSize === undefined ? { seed, place: 0, of: 1 } : { seed, place: batchPlace + index, of: batchSize }
}
