import { discreteSigmas, type Level, type Step, sigmaOfNoSignal, timedLevel } from '../diffusion/index.js'
import type { Before, Denoise, Noise, Predict, SampleStep, Sampling } from './contract.js'
import { lcm } from './distilled/lcm.js'
import { tcd } from './distilled/tcd.js'
import { flowEuler, flowHeun } from './flow/rectified-flow.js'
import { denoiser, type GuidedNetwork, type ModelOptions, predictor, scale } from './model.js'
import { deis } from './multistep/deis.js'
import { dpmpp2mV2 } from './multistep/dpmpp-2m-v2.js'
import { dpmppMultistep } from './multistep/dpmpp-multistep.js'
import { erSde } from './multistep/er-sde.js'
import { gradientEstimation } from './multistep/gradient-estimation.js'
import { ipndm, ipndmVariable } from './multistep/ipndm.js'
import { lms } from './multistep/lms.js'
import { resMultistep } from './multistep/res.js'
import { saSolver } from './multistep/sa-solver.js'
import { unipc } from './multistep/unipc.js'
import { dpmAdaptive, dpmFast } from './single-step/dpm-solver.js'
import { dpm2, dpm2Ancestral } from './single-step/dpm2.js'
import { dpmpp2sAncestral } from './single-step/dpmpp-2s-ancestral.js'
import { dpmppSde } from './single-step/dpmpp-sde.js'
import { dpmppSinglestep } from './single-step/dpmpp-singlestep.js'
import { euler } from './single-step/euler.js'
import { eulerAncestral } from './single-step/euler-ancestral.js'
import { heun } from './single-step/heun.js'
import { heunPlusPlus } from './single-step/heun-plus-plus.js'
import { res2s } from './single-step/res-2s.js'
import { restart, restartPlan } from './single-step/restart.js'
import { seeds2, seeds3 } from './single-step/seeds.js'
import { ddim } from './timesteps/ddim.js'
import { ddpm } from './timesteps/ddpm.js'
import { type PlmsOptions, plms } from './timesteps/plms.js'

/** What a sampler of the table may be told. */
export interface SampleOptions {
  /** Draws the next unit normals of the whole batch; only stochastic samplers call it. */
  readonly noise: Noise
  /** How much of the ancestral noise a stochastic sampler adds back, 0 to 1. */
  readonly eta?: number | undefined
  /** Changes the batch before each step; for DDIM and PLMS alone. */
  readonly before?: Before | undefined
  /** What PLMS does otherwise in its first step. */
  readonly first?: Pick<PlmsOptions, 'again' | 'ahead'> | undefined
  /** Whether the network is told the nearest whole timestep of levels between the planned ones. */
  readonly wholeTimesteps?: boolean | undefined
  /** Whether the last step of DPM++ 2M and DEIS is of first order where it does not end at a clean image. */
  readonly lowerOrderFinal?: boolean | undefined
  /** Whether LCM takes predicted images whole, without the boundary of the consistency function. */
  readonly wholeImages?: boolean | undefined
  /** What a tool runs by the name of a sampler, where that is another than the table's. */
  readonly loop?: SigmaLoop | undefined
}

interface RunOptions extends SampleOptions {
  readonly parameterization: ModelOptions['parameterization']
  /** The level of a whole timestep of the model. */
  readonly levelOf: (t: number) => Level
  /** The noise level at a share of the model's timesteps, from 0 to 1. */
  readonly sigmaAt: (share: number) => number
}

interface Described {
  /** Its name for people. */
  readonly label: string
  /** Whether it adds noise by default, so that the number of steps changes the picture. */
  readonly stochastic: boolean
  /** Whether all pictures of a batch decide on its steps: for the same picture by seed they are made one by one. */
  readonly alone?: boolean
}

interface VpSampler extends Described {
  readonly overSteps: (predict: Predict, x: Float32Array, steps: readonly Step[], options: RunOptions) => Sampling
}

/** A sampler over noise levels, made ready for the table. */
export type SigmaLoop = (denoise: Denoise, x: Float32Array, sigmas: ArrayLike<number>, options: RunOptions) => Sampling

interface SigmaSampler extends Described {
  readonly overSigmas: SigmaLoop
}

const vp = (label: string, stochastic: boolean, overSteps: VpSampler['overSteps']): VpSampler => ({
  label,
  stochastic,
  overSteps,
})
const flowing = (label: string, overSigmas: SigmaLoop): SigmaSampler => ({ label, stochastic: false, overSigmas })
const noisy = (label: string, overSigmas: SigmaLoop): SigmaSampler => ({ label, stochastic: true, overSigmas })

/** All samplers by their names in the CLI, in configurations and in the pages: k-diffusion's where it has one. */
export const samplers = {
  ddim: vp('DDIM', false, ddim),
  ddpm: vp('DDPM (ancestral)', true, ddpm),
  // Averages of v, as diffusers takes them, stay defined where the signal is zero.
  plms: vp('PLMS', false, (predict, x, steps, { parameterization, before, first }) =>
    plms(predict, x, steps, { average: parameterization === 'v' ? 'v' : 'epsilon', before, ...first }),
  ),
  lcm: vp('LCM (distilled models)', true, (predict, x, steps, { noise, wholeImages }) =>
    lcm(predict, x, steps, { noise, timestepScaling: wholeImages ? undefined : 10 }),
  ),
  tcd: vp('TCD (distilled models)', true, (predict, x, steps, { noise, eta, levelOf }) =>
    tcd(predict, x, steps, { noise, levelOf, gamma: eta }),
  ),
  flow_euler: vp('Euler along a rectified flow', false, (predict, x, steps) => flowEuler(predict, x, steps)),
  flow_heun: vp('Heun along a rectified flow', false, (predict, x, steps) => flowHeun(predict, x, steps)),
  euler: flowing('Euler', (denoise, x, sigmas) => euler(denoise, x, sigmas)),
  euler_ancestral: noisy('Euler ancestral', eulerAncestral),
  heun: flowing('Heun', (denoise, x, sigmas) => heun(denoise, x, sigmas)),
  heunpp2: flowing('Heun++', heunPlusPlus),
  lms: flowing(
    'LMS',
    eachOnce((denoise, x, sigmas) => lms(denoise, x, sigmas)),
  ),
  ipndm: flowing('iPNDM', (denoise, x, sigmas) => ipndm(denoise, x, sigmas)),
  ipndm_v: flowing('iPNDM, for uneven steps', eachOnce(ipndmVariable)),
  gradient_estimation: flowing('Gradient estimation', (denoise, x, sigmas) => gradientEstimation(denoise, x, sigmas)),
  dpm_2: flowing('DPM2', (denoise, x, sigmas) => dpm2(denoise, x, sigmas)),
  dpm_2_ancestral: noisy('DPM2 ancestral', dpm2Ancestral),
  dpm_fast: flowing('DPM fast', cleanEnd(dpmFast)),
  dpm_adaptive: { ...flowing('DPM adaptive (chooses its own steps)', cleanEnd(dpmAdaptive)), alone: true },
  restart: noisy('Restart', (denoise, x, sigmas, { noise }) => {
    const plan = restartPlan(sigmas)
    return restart(denoise, x, plan.sigmas, { noise, stretches: plan.stretches })
  }),
  dpmpp_2s: flowing(
    'DPM++ 2S',
    eachOnce((denoise, x, sigmas) => dpmppSinglestep(denoise, x, sigmas)),
  ),
  dpmpp_2s_ancestral: noisy('DPM++ 2S ancestral', dpmpp2sAncestral),
  dpmpp_2m: flowing(
    'DPM++ 2M',
    eachOnce((denoise, x, sigmas, { lowerOrderFinal }) => dpmppMultistep(denoise, x, sigmas, { lowerOrderFinal })),
  ),
  dpmpp_2m_v2: flowing('DPM++ 2M v2', eachOnce(dpmpp2mV2)),
  dpmpp_sde: noisy('DPM++ SDE', eachOnce(dpmppSde)),
  dpmpp_2m_sde: noisy(
    'DPM++ 2M SDE',
    eachOnce((denoise, x, sigmas, { noise, eta = 1 }) => dpmppMultistep(denoise, x, sigmas, { noise, eta })),
  ),
  dpmpp_2m_sde_heun: noisy(
    'DPM++ 2M SDE Heun',
    eachOnce((denoise, x, sigmas, { noise, eta = 1 }) =>
      dpmppMultistep(denoise, x, sigmas, { solver: 'heun', noise, eta }),
    ),
  ),
  dpmpp_3m_sde: noisy(
    'DPM++ 3M SDE',
    eachOnce((denoise, x, sigmas, { noise, eta = 1 }) =>
      dpmppMultistep(denoise, x, sigmas, { order: 3, solver: 'heun', noise, eta }),
    ),
  ),
  uni_pc: flowing(
    'UniPC',
    eachOnce((denoise, x, sigmas) => unipc(denoise, x, sigmas, { lowerOrderFinal: true })),
  ),
  uni_pc_bh2: flowing(
    'UniPC, third order',
    eachOnce((denoise, x, sigmas) => unipc(denoise, x, sigmas, { order: 3, lowerOrderFinal: true })),
  ),
  deis: flowing(
    'DEIS',
    eachOnce(cleanEnd((denoise, x, sigmas, { lowerOrderFinal }) => deis(denoise, x, sigmas, { lowerOrderFinal }))),
  ),
  res_multistep: flowing(
    'RES, multistep',
    eachOnce((denoise, x, sigmas, { noise, eta = 0 }) => resMultistep(denoise, x, sigmas, { noise, eta })),
  ),
  res_multistep_ancestral: noisy(
    'RES, multistep ancestral',
    eachOnce((denoise, x, sigmas, { noise, eta = 1 }) => resMultistep(denoise, x, sigmas, { noise, eta })),
  ),
  res_2s: flowing(
    'RES 2S',
    eachOnce((denoise, x, sigmas, { noise, eta = 0 }) => res2s(denoise, x, sigmas, { noise, eta })),
  ),
  er_sde: noisy('ER-SDE', eachOnce(erSde)),
  seeds_2: noisy('SEEDS-2', eachOnce(seeds2)),
  seeds_3: noisy('SEEDS-3', eachOnce(seeds3)),
  sa_solver: noisy('SA-Solver', eachOnce(stochasticAdams(false))),
  sa_solver_pece: noisy('SA-Solver (PECE)', eachOnce(stochasticAdams(true))),
} satisfies Record<string, Sampler>

/** SA-Solver, stochastic but for the first and the last fifth of the timesteps, as ComfyUI has it. */
function stochasticAdams(again: boolean): SigmaLoop {
  return (denoise, x, sigmas, { noise, eta = 1, sigmaAt }) => {
    const [high, low] = [sigmaAt(0.8), sigmaAt(0.2)]
    const tau = (sigma: number) => (sigma <= high && sigma >= low ? eta : 0)
    return saSolver(denoise, x, sigmas, { noise, tau, again })
  }
}

/** A solver that divides by the way between levels passes each once: many quadratic steps plan one timestep again. */
function eachOnce(loop: SigmaLoop): SigmaLoop {
  return (denoise, x, sigmas, options) => {
    const distinct = Array.from(sigmas).filter((sigma, i) => sigma !== sigmas[i + 1])
    return loop(denoise, x, distinct, options)
  }
}

/** A solver that cannot end at noise level 0 goes to the lowest level above, from where the prediction is taken. */
function cleanEnd(loop: SigmaLoop): SigmaLoop {
  return async function* (denoise, x, sigmas, options) {
    const positive = Array.from(sigmas).filter(sigma => sigma > 0)
    // Where there is a way to go.
    if (positive[0]! > positive.at(-1)!) {
      for await (const step of loop(denoise, x, positive, options)) {
        x = step.x
        yield step
      }
    }
    if (positive.length === sigmas.length) return
    const x0 = await denoise(x, positive.at(-1)!)
    yield { x: x0, x0 }
  }
}

/** A sampler of the table, whichever. */
export type Sampler = VpSampler | SigmaSampler

/** Name of a sampler in `samplers`. */
export type SamplerName = keyof typeof samplers

export function isSamplerName(name: string): name is SamplerName {
  return Object.hasOwn(samplers, name)
}

/** What is sampled from: a network (with its guidance) and the schedule it was trained on. */
export interface SamplingModel extends ModelOptions {
  readonly network: GuidedNetwork
  readonly alphasCumprod: ArrayLike<number>
}

/**
 * Runs a sampler by name over the steps of `samplingPlan`; x is the batch at the first step's level, in the model's own
 * coordinates (unit normals for a start from noise). Yields every step; the last `x` is the result, in those of the last
 * step's end.
 *
 * @example
 * const steps = samplingPlan(alphasCumprod, { steps: 20 })
 * for await (const { x } of sample('ddim', model, start, steps, { noise })) latents = x
 */
export function sample(
  name: SamplerName,
  model: SamplingModel,
  x: Float32Array,
  steps: readonly Step[],
  options: SampleOptions,
): Sampling {
  const sampler: Sampler = options.loop ? flowing(samplers[name].label, eachOnce(options.loop)) : samplers[name]
  const { network, parameterization } = model
  const levelOf = (t: number) => timedLevel(model.alphasCumprod, t)
  const sigmaAt = (share: number) =>
    discreteSigmas(model.alphasCumprod).tToSigma(share * (model.alphasCumprod.length - 1))
  const all = { ...options, parameterization, levelOf, sigmaAt }
  if ('overSteps' in sampler) return sampler.overSteps(predictor(network, model), x, steps, all)
  const levels = steps.map(({ from }) => finite(from.sigma, from.alpha))
  const last = steps.at(-1)!.to
  const denoise = denoiser(network, timestepOf(model, steps, levels, options.wholeTimesteps), model)
  const start = scale(x, Math.sqrt(levels[0]! ** 2 + 1))
  const sampling = sampler.overSigmas(denoise, start, [...levels, last.sigma / last.alpha], all)
  return last.alpha === 1 ? sampling : endingAt(sampling, last.alpha)
}

/** Brings the last batch, image + sigma noise, to the share of the image that it is to have. */
async function* endingAt(sampling: Sampling, alpha: number): Sampling {
  let held: SampleStep | undefined
  for await (const step of sampling) {
    if (held) yield held
    held = step
  }
  if (held) yield { ...held, x: scale(held.x, alpha) }
}

/** sigma / alpha, finite where there is no signal too. */
function finite(sigma: number, alpha: number): number {
  return Math.min(sigma / alpha, sigmaOfNoSignal)
}

/** The planned timestep of a planned level; between them, interpolated in log sigma. */
function timestepOf(
  { alphasCumprod }: SamplingModel,
  steps: readonly Step[],
  levels: readonly number[],
  whole: boolean | undefined,
) {
  const planned = new Map(steps.map(({ from }, i) => [levels[i]!, from.t]))
  const discrete = discreteSigmas(alphasCumprod)
  return (sigma: number) => planned.get(sigma) ?? discrete.sigmaToT(sigma, whole)
}
