import { z } from 'zod'
import {
  diffusersSteps,
  isSchedulerName,
  parameterizationOf,
  type SchedulePlan,
  type SchedulerConfig,
  type SchedulerName,
} from '../../../../diffusion/index.js'
import { clipTo, ddim, ddpm, dynamicThreshold, predictor, type Sampling } from '../../../../samplers/index.js'
import { type Kind, NotBuilt, vector } from '../../kind.js'
import { readPlan, startTolerance } from '../schedules.js'
import { filesAnswer } from './compvis.js'
import { type Experiment, experiment, stacked } from './formula.js'

/** What a scheduler's own `step` is given beside the sample. */
const stepOptions = z
  .object({ eta: z.number(), s_churn: z.number(), s_tmin: z.number(), s_tmax: z.number(), s_noise: z.number() })
  .partial()

interface Setting {
  readonly scheduler: SchedulerName
  readonly config: SchedulerConfig
  readonly plan: SchedulePlan
  readonly run: Experiment
  readonly start: Float32Array
  readonly options: z.infer<typeof stepOptions>
}

function limitOf({ thresholding, clip_sample, ...config }: SchedulerConfig, images: number) {
  if (thresholding) return dynamicThreshold(config.dynamic_thresholding_ratio, config.sample_max_value, images)
  return clip_sample ? clipTo(config.clip_sample_range) : undefined
}

function predictOf({ run, config }: Setting) {
  const limit = limitOf(config, run.images)
  return run.predict(predictor(run.network, { parameterization: parameterizationOf(config), limit }))
}

function ddpmVariance({ variance_type }: SchedulerConfig): number {
  if (variance_type === 'fixed_small' || variance_type === 'fixed_small_log') return 0
  if (variance_type === 'fixed_large') return 1
  throw new NotBuilt(`sampling with variance_type ${variance_type}`)
}

/** How each of diffusers' schedulers samples. */
const loops: Partial<Record<SchedulerName, (setting: Setting) => Sampling>> = {
  DDIMScheduler(setting) {
    const { scheduler, config, plan, start, run, options } = setting
    const steps = diffusersSteps(scheduler, config, plan)
    return ddim(predictOf(setting), start, steps, { eta: options.eta, noise: run.noise })
  },
  DDPMScheduler(setting) {
    const { scheduler, config, plan, start, run } = setting
    const steps = diffusersSteps(scheduler, config, plan)
    return ddpm(predictOf(setting), start, steps, { noise: run.noise, variance: ddpmVariance(config) })
  },
}

const schedulerLoop: Kind = {
  kind: 'samplers',
  recognises: ({ config }) => isSchedulerName(String(config.scheduler)),
  async run(testCase) {
    const { scheduler, config, plan, calls } = readPlan(testCase.config)
    const loop = loops[scheduler]
    if (!loop) throw new NotBuilt(`the sampler of diffusers' ${scheduler}`)
    const run = await experiment(testCase)
    const start = run.start.map(value => value * plan.initNoiseSigma)
    const options = stepOptions.parse(testCase.config.step ?? {})
    let last: Float32Array = start
    for await (const { x } of loop({ scheduler, config, plan, run, start, options })) last = x
    const tensors = new Map([
      // diffusers steps once per call of the network, so the batches between are those that were asked about.
      ['x', stacked([...run.asked, last], run.shape)],
      ['model_output', stacked(run.outputs, run.shape)],
      ['timesteps', vector(calls.timesteps)],
    ])
    if (calls.sigmas) tensors.set('sigmas', vector(calls.sigmas))
    return filesAnswer(testCase, tensors, {
      init_noise_sigma: plan.initNoiseSigma,
      noises_used: run.noisesUsed(),
      model_calls: run.outputs.length,
    })
  },
  tolerance: (testCase, _file, entry) => startTolerance(testCase, entry, () => 'sigmas'),
}

export const diffusersSamplers: readonly Kind[] = [schedulerLoop]
