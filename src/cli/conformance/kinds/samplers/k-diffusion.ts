import { z } from 'zod'
import {
  discreteSigmas,
  exponentialSigmas,
  karrasSigmas,
  polyexponentialSigmas,
  vpSigmas,
} from '../../../../diffusion/index.js'
import {
  type AdaptiveStep,
  type Denoise,
  denoiser,
  dpm2,
  dpm2Ancestral,
  dpmAdaptive,
  dpmFast,
  dpmpp2sAncestral,
  dpmppMultistep,
  dpmppSde,
  euler,
  eulerAncestral,
  heun,
  lms,
  type Noise,
  type SampleStep,
} from '../../../../samplers/index.js'
import type { Case } from '../../case.js'
import type { Value } from '../../compare.js'
import { type Kind, NotBuilt, vector } from '../../kind.js'
import { filesAnswer } from './compvis.js'
import { compvisParameterization, type Experiment, experiment, stacked } from './formula.js'

const samplerConfig = z.object({
  sampler: z.string(),
  S: z.int(),
  sigmas: z.enum(['get_sigmas', 'karras', 'exponential', 'polyexponential', 'vp']),
  quantize: z.boolean().default(false),
  arguments: z.looseObject({}).default({}),
})

/** The keyword arguments of k-diffusion's samplers that have numbers for values. */
const argumentsSchema = z
  .object({
    s_churn: z.number(),
    s_tmin: z.number(),
    s_tmax: z.number(),
    s_noise: z.number(),
    eta: z.number(),
    r: z.number(),
    order: z.int(),
    rtol: z.number(),
    atol: z.number(),
    h_init: z.number(),
    pcoeff: z.number(),
    icoeff: z.number(),
    dcoeff: z.number(),
    accept_safety: z.number(),
    solver_type: z.enum(['midpoint', 'heun']),
  })
  .partial()
type Arguments = z.infer<typeof argumentsSchema>

type Loop = (
  denoise: Denoise,
  x: Float32Array,
  sigmas: Float32Array,
  noise: Noise,
  given: Arguments,
) => AsyncGenerator<SampleStep & Partial<AdaptiveStep>, void>

const churn = (noise: Noise, given: Arguments) => ({
  noise,
  churn: given.s_churn,
  churnFrom: given.s_tmin,
  churnTo: given.s_tmax,
  noiseScale: given.s_noise,
  drawAlways: true,
})
const ancestral = (noise: Noise, given: Arguments) => ({ noise, eta: given.eta, noiseScale: given.s_noise })
const sde = (noise: Noise, given: Arguments) => ({ ...ancestral(noise, given), eta: given.eta ?? 1 })

/** k-diffusion's `sample_*` functions. */
const loops: Readonly<Record<string, Loop>> = {
  euler: (denoise, x, sigmas, noise, given) => euler(denoise, x, sigmas, churn(noise, given)),
  heun: (denoise, x, sigmas, noise, given) => heun(denoise, x, sigmas, churn(noise, given)),
  dpm_2: (denoise, x, sigmas, noise, given) => dpm2(denoise, x, sigmas, churn(noise, given)),
  lms: (denoise, x, sigmas, _noise, { order }) => lms(denoise, x, sigmas, { order }),
  euler_ancestral: (denoise, x, sigmas, noise, given) => eulerAncestral(denoise, x, sigmas, ancestral(noise, given)),
  dpm_2_ancestral: (denoise, x, sigmas, noise, given) => dpm2Ancestral(denoise, x, sigmas, ancestral(noise, given)),
  dpmpp_2s_ancestral: (denoise, x, sigmas, noise, given) =>
    dpmpp2sAncestral(denoise, x, sigmas, ancestral(noise, given)),
  dpmpp_sde: (denoise, x, sigmas, noise, given) =>
    dpmppSde(denoise, x, sigmas, { ...ancestral(noise, given), r: given.r }),
  dpmpp_2m: (denoise, x, sigmas) => dpmppMultistep(denoise, x, sigmas, { order: 2 }),
  dpmpp_2m_sde: (denoise, x, sigmas, noise, given) =>
    dpmppMultistep(denoise, x, sigmas, { order: 2, solver: given.solver_type, ...sde(noise, given) }),
  // Its second step, of second order, uses the exact integral.
  dpmpp_3m_sde: (denoise, x, sigmas, noise, given) =>
    dpmppMultistep(denoise, x, sigmas, { order: 3, solver: 'heun', ...sde(noise, given) }),
  dpm_fast: (denoise, x, sigmas, noise, given) => dpmFast(denoise, x, sigmas, ancestral(noise, given)),
  dpm_adaptive: (denoise, x, sigmas, noise, given) =>
    dpmAdaptive(denoise, x, sigmas, {
      ...ancestral(noise, given),
      order: given.order === 2 ? 2 : 3,
      relativeTolerance: given.rtol,
      absoluteTolerance: given.atol,
      firstStep: given.h_init,
      gains: { p: given.pcoeff ?? 0, i: given.icoeff ?? 1, d: given.dcoeff ?? 0 },
      acceptSafety: given.accept_safety,
    }),
}

async function levels(testCase: Case, config: z.infer<typeof samplerConfig>) {
  const discrete = discreteSigmas((await testCase.input('alphas_cumprod')).data as Float32Array)
  const { S } = config
  const [low, high] = [discrete.sigmas[0]!, discrete.sigmas.at(-1)!]
  switch (config.sigmas) {
    case 'get_sigmas':
      return { discrete, sigmas: discrete.levels(S) }
    case 'karras':
      return { discrete, sigmas: karrasSigmas(S, low, high) }
    case 'exponential':
      return { discrete, sigmas: exponentialSigmas(S, low, high) }
    case 'polyexponential':
      return { discrete, sigmas: polyexponentialSigmas(S, low, high) }
    case 'vp':
      return { discrete, sigmas: vpSigmas(S) }
  }
}

/** What the callback of a sampler sees at each step: the first call of the network in it, and the level it began at. */
function callbackRecord(run: Experiment, firstCalls: readonly number[], sigmas: Float32Array): [string, Value][] {
  const at = <T>(list: readonly T[]) => firstCalls.map(call => list[call]!)
  return [
    ['x', stacked(at(run.asked), run.shape)],
    ['denoised', stacked(at(run.denoised), run.shape)],
    ['sigma', vector(sigmas.subarray(0, firstCalls.length))],
    ['sigma_hat', vector(at(run.sigmas))],
  ]
}

const kDiffusionSampler: Kind = {
  kind: 'samplers',
  recognises: ({ source, config }) =>
    source.some(({ repository }) => String(repository).endsWith('/k-diffusion')) &&
    samplerConfig.safeParse(config).success,
  async run(testCase) {
    const config = samplerConfig.parse(testCase.config)
    const loop = Object.hasOwn(loops, config.sampler) ? loops[config.sampler] : undefined
    if (!loop) throw new NotBuilt(`k-diffusion's sampler ${config.sampler}`)
    const run = await experiment(testCase)
    const { discrete, sigmas } = await levels(testCase, config)
    const parameterization = compvisParameterization(testCase.config.parameterization)
    const timestepOf = (sigma: number) => discrete.sigmaToT(sigma, config.quantize)
    const denoise = run.denoise(denoiser(run.network, timestepOf, { parameterization }))
    const given = argumentsSchema.parse(config.arguments)
    const start = run.start.map(value => value * sigmas[0]!)
    const firstCalls: number[] = []
    let calls = 0
    let last: Float32Array = start
    const accepted: boolean[] = []
    for await (const step of loop(denoise, start, sigmas, run.noise, given)) {
      firstCalls.push(calls)
      calls = run.outputs.length
      last = step.x
      if (step.accepted !== undefined) accepted.push(step.accepted)
    }
    const fixed = config.sampler !== 'dpm_fast' && config.sampler !== 'dpm_adaptive'
    const tensors = new Map<string, Value>([
      ...(fixed ? callbackRecord(run, firstCalls, sigmas) : []),
      ['x_final', { shape: run.shape, data: last }],
      ['sigmas', vector(sigmas)],
      ['model_timesteps', vector(run.timesteps)],
    ])
    return filesAnswer(testCase, tensors, {
      model_calls: run.outputs.length,
      noises_used: run.noisesUsed(),
      ...(config.sampler === 'dpm_adaptive' && {
        steps: accepted.length,
        // Counted as if every step asked anew, though a step after a refused one knows its first answer.
        nfe: accepted.length * (given.order === 2 ? 2 : 3),
        n_accept: accepted.filter(Boolean).length,
        n_reject: accepted.filter(taken => !taken).length,
      }),
    })
  },
}

export const kDiffusionSamplers: readonly Kind[] = [kDiffusionSampler]
