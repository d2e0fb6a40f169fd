import { z } from 'zod'
import { isSchedulerName } from '../../../../diffusion/index.js'
import { diffusersSampling } from '../../../../samplers/index.js'
import type { Value } from '../../compare.js'
import { type Kind, vector } from '../../kind.js'
import { readPlan, startTolerance } from '../schedules.js'
import { filesAnswer } from './compvis.js'
import { experiment, stacked } from './formula.js'

/** What a scheduler's own `step` is given beside the sample. */
const stepOptions = z
  .object({
    eta: z.number(),
    s_churn: z.number(),
    s_tmin: z.number(),
    s_tmax: z.number(),
    s_noise: z.number(),
    order: z.int(),
  })
  .partial()

const schedulerLoop: Kind = {
  kind: 'samplers',
  recognises: ({ config }) => isSchedulerName(String(config.scheduler)),
  async run(testCase) {
    const { scheduler, config, plan, calls } = readPlan(testCase.config)
    const run = await experiment(testCase)
    const start = run.start.map(value => value * plan.initNoiseSigma)
    const step = stepOptions.parse(testCase.config.step ?? {})
    const { network, noise, images } = run
    const setting = { scheduler, config, plan, network, noise, images, step, watch: run }
    let last: Float32Array = start
    for await (const { x } of diffusersSampling(setting, start)) last = x
    // diffusers steps once per call of the network, so the batches between are those that were asked about.
    const x = stacked([...run.asked, last], run.shape)
    // A last step to noise level 0 is infinitely long: UniPC's bh1 multiplies infinity by 0, any order above 1 divides by
    // the part of the step that the step before was. Ours is the limit.
    const fullOrder = scheduler === 'UniPCMultistepScheduler' && !config.lower_order_final && config.solver_order > 1
    const undefinedEnd = (config.solver_type === 'bh1' || fullOrder) && plan.sigmas?.at(-1) === 0
    const compare = undefinedEnd
      ? Uint8Array.from(x.data, (_, i) => (i < x.data.length - last.length ? 1 : 0))
      : undefined
    const tensors = new Map<string, Value>([
      ['x', compare ? { ...x, compare } : x],
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
