import { z } from 'zod'
import {
  type BetaSchedule,
  callList,
  cumulativeAlphas,
  cumulativeAlphas32,
  ddimParameters,
  ddimTimesteps,
  ddpmBuffers,
  diffusersBetas,
  discreteSigmas,
  exponentialSigmas,
  isSchedulerName,
  karrasSigmas,
  makeBetas,
  polyexponentialSigmas,
  rescaleZeroTerminalSnr,
  schedulePlan,
  schedulerConfig,
  vpSigmas,
} from '../../../diffusion/index.js'
import type { Case } from '../case.js'
import type { Value } from '../compare.js'
import { type Answer, type JsonValue, type Kind, NotBuilt, vector } from '../kind.js'
import { type Tolerance, toleranceOf } from '../tolerance.js'

const betaSchedule = z.object({
  beta_schedule: z.enum(['linear', 'cosine', 'sqrt_linear', 'sqrt']),
  timesteps: z.int(),
  linear_start: z.number().optional(),
  linear_end: z.number().optional(),
  cosine_s: z.number().optional(),
})

/** A noise schedule in a case's configuration: the known keys of `config` or of `config.schedule` and the like. */
export function readBetaSchedule(config: unknown): BetaSchedule {
  return betaSchedule.parse(config) as BetaSchedule
}

function tensorsAnswer(file: string, values: readonly (readonly [string, ArrayLike<number>])[]): Answer {
  return { files: { [file]: new Map(values.map(([name, data]): [string, Value] => [name, vector(data)])) } }
}

const betasConfig = z.object({ schedules: z.array(betaSchedule) })

const betas: Kind = {
  kind: 'schedules',
  recognises: ({ objects, config }) => objects.includes('make_beta_schedule') && betasConfig.safeParse(config).success,
  async run(testCase) {
    const { schedules } = betasConfig.parse(testCase.config)
    const values = schedules.flatMap((schedule, i) => {
      const made = makeBetas(readBetaSchedule(schedule))
      return [[`s${i}.betas`, made] as const, [`s${i}.alphas_cumprod`, cumulativeAlphas(made)] as const]
    })
    return tensorsAnswer(testCase.filesOf('expected')[0]!, values)
  },
}

const buffers: Kind = {
  kind: 'schedules',
  recognises: ({ objects, config }) => objects.includes('register_schedule') && betaSchedule.safeParse(config).success,
  async run(testCase) {
    const schedule = readBetaSchedule(testCase.config)
    const vPosterior = Number(testCase.config.v_posterior ?? 0)
    const b = ddpmBuffers(schedule, { vPosterior })
    return tensorsAnswer(testCase.filesOf('expected')[0]!, [
      ['betas', b.betas],
      ['alphas_cumprod', b.alphasCumprod],
      ['alphas_cumprod_prev', b.alphasCumprodPrev],
      ['sqrt_alphas_cumprod', b.sqrtAlphasCumprod],
      ['sqrt_one_minus_alphas_cumprod', b.sqrtOneMinusAlphasCumprod],
      ['log_one_minus_alphas_cumprod', b.logOneMinusAlphasCumprod],
      ['sqrt_recip_alphas_cumprod', b.sqrtRecipAlphasCumprod],
      ['sqrt_recipm1_alphas_cumprod', b.sqrtRecipm1AlphasCumprod],
      ['posterior_variance', b.posteriorVariance],
      ['posterior_log_variance_clipped', b.posteriorLogVarianceClipped],
      ['posterior_mean_coef1', b.posteriorMeanCoef1],
      ['posterior_mean_coef2', b.posteriorMeanCoef2],
      ['lvlb_weights', b.lvlbWeights],
      ['lvlb_weights.x0', ddpmBuffers(schedule, { vPosterior, parameterization: 'x0' }).lvlbWeights],
      ['lvlb_weights.v', ddpmBuffers(schedule, { vPosterior, parameterization: 'v' }).lvlbWeights],
    ])
  },
}

const ddimConfig = z.object({
  model: betaSchedule,
  runs: z.array(z.object({ ddim_discretize: z.enum(['uniform', 'quad']), S: z.int(), eta: z.number() })),
})

const ddim: Kind = {
  kind: 'schedules',
  recognises: ({ objects, config }) => objects.includes('make_ddim_timesteps') && ddimConfig.safeParse(config).success,
  async run(testCase) {
    const { model, runs } = ddimConfig.parse(testCase.config)
    const schedule = readBetaSchedule(model)
    const alphas = Float32Array.from(cumulativeAlphas(makeBetas(schedule)))
    const values = new Map<string, Value>()
    const lists = runs.map((run, i): JsonValue => {
      const timesteps = ddimTimesteps(run.ddim_discretize, run.S, schedule.timesteps)
      const made = { run: i, ...run, ddim_timesteps: timesteps, count: timesteps.length }
      try {
        const { alphas: own, alphasPrev, sigmas } = ddimParameters(alphas, timesteps, run.eta)
        values.set(`run${i}.ddim_alphas`, vector(own))
        values.set(`run${i}.ddim_alphas_prev`, vector(alphasPrev))
        values.set(`run${i}.ddim_sigmas`, vector(sigmas))
        values.set(`run${i}.ddim_sqrt_one_minus_alphas`, vector(own.map(alpha => Math.sqrt(1 - alpha))))
        return made
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        // The case asks for a refusal here, told in the words of the reference.
        return { ...made, error: 'IndexError: the last timestep equals the number of training steps' }
      }
    })
    const expected = testCase.filesOf('expected')
    return {
      files: Object.fromEntries(expected.map(file => [file, file.endsWith('.json') ? lists : values])),
    }
  },
}

const zeroSnrConfig = z.object({ schedules: z.array(z.record(z.string(), z.unknown())) })

const zeroSnr: Kind = {
  kind: 'schedules',
  recognises: ({ objects, config }) =>
    objects.includes('rescale_zero_terminal_snr') && zeroSnrConfig.safeParse(config).success,
  async run(testCase) {
    const values = zeroSnrConfig.parse(testCase.config).schedules.flatMap((given, i) => {
      const plain = diffusersBetas(schedulerConfig('DDIMScheduler', given))
      const rescaled = rescaleZeroTerminalSnr(plain)
      return [
        [`s${i}.betas`, plain] as const,
        [`s${i}.alphas_cumprod`, cumulativeAlphas32(plain)] as const,
        [`s${i}.betas_rescaled`, rescaled] as const,
        [`s${i}.alphas_cumprod_rescaled`, cumulativeAlphas32(rescaled)] as const,
      ]
    })
    return tensorsAnswer(testCase.filesOf('expected')[0]!, values)
  },
}

const range = { n: z.int(), sigma_min: z.number(), sigma_max: z.number() }
const sigmaRun = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('karras'), ...range, rho: z.number().optional() }),
  z.object({ kind: z.literal('exponential'), ...range }),
  z.object({ kind: z.literal('polyexponential'), ...range, rho: z.number().optional() }),
  z.object({
    kind: z.literal('vp'),
    n: z.int(),
    beta_d: z.number().optional(),
    beta_min: z.number().optional(),
    eps_s: z.number().optional(),
  }),
])
const sigmasConfig = z.object({ runs: z.array(sigmaRun), get_sigmas: z.array(z.int()).default([]) })

function sigmasOf(run: z.infer<typeof sigmaRun>): Float32Array {
  switch (run.kind) {
    case 'karras':
      return karrasSigmas(run.n, run.sigma_min, run.sigma_max, run.rho)
    case 'exponential':
      return exponentialSigmas(run.n, run.sigma_min, run.sigma_max)
    case 'polyexponential':
      return polyexponentialSigmas(run.n, run.sigma_min, run.sigma_max, run.rho)
    case 'vp':
      return vpSigmas(run.n, run.beta_d, run.beta_min, run.eps_s)
  }
}

const kSigmas: Kind = {
  kind: 'schedules',
  recognises: ({ objects, config }) => objects.includes('get_sigmas_') && sigmasConfig.safeParse(config).success,
  async run(testCase) {
    const { runs, get_sigmas } = sigmasConfig.parse(testCase.config)
    const input = async (name: string) => Float32Array.from((await testCase.input(name)).data as Float32Array)
    const discrete = discreteSigmas(await input('alphas_cumprod'))
    const sigmaQueries = await input('sigma_queries')
    return tensorsAnswer(testCase.filesOf('expected')[0]!, [
      ...runs.map((run, i) => [`run${i}.${run.kind}`, sigmasOf(run)] as const),
      ['compvis.sigmas', discrete.sigmas],
      ['compvis.log_sigmas', discrete.logSigmas],
      ...get_sigmas.map(n => [`compvis.get_sigmas${n}`, discrete.levels(n)] as const),
      ['compvis.sigma_to_t', sigmaQueries.map(sigma => discrete.sigmaToT(sigma))],
      ['compvis.sigma_to_t_quantized', sigmaQueries.map(sigma => discrete.sigmaToT(sigma, true))],
      ['compvis.t_to_sigma', (await input('t_queries')).map(t => discrete.tToSigma(t))],
    ])
  },
}

const planRun = z.object({
  scheduler: z.string(),
  num_inference_steps: z.int(),
  config: z.record(z.string(), z.unknown()),
  set_timesteps: z
    .object({ mu: z.number(), original_inference_steps: z.int(), strength: z.number() })
    .partial()
    .default({}),
})
const plansConfig = z.object({ runs: z.array(planRun) })

/** The scheduler, its configuration and its plan that a run or a case of diffusers describes. */
export function readPlan(given: unknown) {
  const { scheduler, num_inference_steps, config, set_timesteps } = planRun.parse(given)
  if (!isSchedulerName(scheduler)) throw new NotBuilt(`the scheduler ${scheduler} of diffusers`)
  const complete = schedulerConfig(scheduler, config)
  const { mu, original_inference_steps: originalInferenceSteps, strength } = set_timesteps
  const plan = schedulePlan(scheduler, complete, num_inference_steps, {
    ...(mu !== undefined && { mu }),
    ...(originalInferenceSteps !== undefined && { originalInferenceSteps }),
    ...(strength !== undefined && { strength }),
  })
  return { scheduler, config: complete, plan, calls: callList(scheduler, complete, plan) }
}

const plans: Kind = {
  kind: 'schedules',
  recognises: ({ objects, config }) => objects.includes('set_timesteps') && plansConfig.safeParse(config).success,
  async run(testCase) {
    const values = new Map<string, Value>()
    const scalars: JsonValue[] = []
    for (const [i, run] of plansConfig.parse(testCase.config).runs.entries()) {
      const { scheduler, plan, calls } = readPlan(run)
      values.set(`run${i}.timesteps`, vector(calls.timesteps))
      if (calls.sigmas) values.set(`run${i}.sigmas`, vector(calls.sigmas))
      scalars.push({ run: i, init_noise_sigma: plan.initNoiseSigma, order: /Heun|KDPM2/.test(scheduler) ? 2 : 1 })
    }
    const expected = testCase.filesOf('expected')
    return {
      files: Object.fromEntries(expected.map(file => [file, file.endsWith('.json') ? scalars : values])),
    }
  },
  tolerance: (testCase, _file, entry) => startTolerance(testCase, entry, run => `run${run}.sigmas`),
}

/**
 * The start's scale in scalars.json is a float32 noise level written as JSON: it is held to the tolerance of the levels
 * of the same run (torch's float32 power, from which they come, rounds differently by processor).
 */
export function startTolerance(testCase: Case, entry: string, levels: (run: string) => string): Tolerance | undefined {
  const run = /^(?:(\d+)\.)?init_noise_sigma$/.exec(entry)
  const file = testCase.filesOf('expected').find(name => name.endsWith('.safetensors'))
  return run && file ? toleranceOf(testCase.tolerance, file, levels(run[1] ?? ''), false) : undefined
}

export const schedules: readonly Kind[] = [betas, buffers, ddim, zeroSnr, kSigmas, plans]
