import {
  callList,
  combine,
  diffusersSteps,
  type Level,
  levelOfSigma,
  parameterizationOf,
  rungeKuttaSteps,
  type SchedulePlan,
  type SchedulerConfig,
  type SchedulerName,
  type Step,
  timedLevel,
} from '../diffusion/index.js'
import { LatentkitError } from '../platform/errors.js'
import type { Denoise, Noise, Predict, Sampling } from './contract.js'
import { lcm } from './distilled/lcm.js'
import { tcd } from './distilled/tcd.js'
import { flowHeun } from './flow/rectified-flow.js'
import { clipTo, dynamicThreshold } from './limits.js'
import { denoiser, type Network, predictor, scale } from './model.js'
import { deis } from './multistep/deis.js'
import { dpmMultistep } from './multistep/dpm-multistep.js'
import { dpmppMultistep } from './multistep/dpmpp-multistep.js'
import { lms } from './multistep/lms.js'
import type { MultistepOptions } from './multistep/orders.js'
import { unipc } from './multistep/unipc.js'
import { edmDenoiser, flowPredictor } from './preconditioning.js'
import { dpm2, dpm2Ancestral } from './single-step/dpm2.js'
import { dpmppSinglestep } from './single-step/dpmpp-singlestep.js'
import { euler } from './single-step/euler.js'
import { eulerAncestral } from './single-step/euler-ancestral.js'
import { heun } from './single-step/heun.js'
import { ddim } from './timesteps/ddim.js'
import { ddpm } from './timesteps/ddpm.js'
import { plms } from './timesteps/plms.js'

/** A diffusers scheduler as it stands after `set_timesteps`, and what it samples with. */
export interface DiffusersSetting {
  readonly scheduler: SchedulerName
  readonly config: SchedulerConfig
  readonly plan: SchedulePlan
  readonly network: Network
  readonly noise: Noise
  /** Images in the batch, each of which dynamic thresholding treats by itself. */
  readonly images: number
  /** Keyword arguments of the scheduler's `step`. */
  readonly step?: DiffusersStepOptions | undefined
  /** Sees every question to the model, in the sampler's own coordinates. */
  readonly watch?: { predict(predict: Predict): Predict; denoise(denoise: Denoise): Denoise } | undefined
}

export interface DiffusersStepOptions {
  readonly eta?: number | undefined
  readonly s_churn?: number | undefined
  readonly s_tmin?: number | undefined
  readonly s_tmax?: number | undefined
  readonly s_noise?: number | undefined
  readonly order?: number | undefined
}

/**
 * Samples as the diffusers scheduler would, from x = unit normals times `plan.initNoiseSigma`, in its own coordinates.
 *
 * Throws LatentkitError for a configuration that no sampler here stands for.
 */
export function diffusersSampling(given: DiffusersSetting, x: Float32Array): Sampling {
  const setting = toldInOrder(given)
  const { scheduler, config, plan, noise, step = {} } = setting
  switch (scheduler) {
    case 'DDIMScheduler':
      return ddim(predictOf(setting), x, stepsOf(setting), { eta: step.eta, noise })
    case 'DDPMScheduler':
      return ddpm(predictOf(setting), x, stepsOf(setting), { noise, variance: ddpmVariance(config) })
    case 'LCMScheduler':
      return lcm(predictOf(setting), x, stepsOf(setting), { noise, timestepScaling: config.timestep_scaling })
    case 'TCDScheduler': {
      const levelOf = (t: number) => timedLevel(plan.alphasCumprod, t)
      return tcd(predictOf(setting), x, stepsOf(setting), { noise, levelOf, gamma: step.eta })
    }
    case 'PNDMScheduler':
      return pndm(setting, x)
    case 'FlowMatchEulerDiscreteScheduler':
    case 'FlowMatchHeunDiscreteScheduler':
      return flow(setting, x)
    case 'EulerDiscreteScheduler':
    case 'EDMEulerScheduler':
      return step.s_churn ? lateChurn(setting, x, step.s_churn) : euler(denoiseOf(setting), x, reached(plan))
    case 'EulerAncestralDiscreteScheduler':
      return drawingLast(eulerAncestral(denoiseOf(setting), x, plan.sigmas!, { noise }), noise)
    case 'HeunDiscreteScheduler':
      return heun(denoiseOf(setting), x, plan.sigmas!)
    case 'LMSDiscreteScheduler':
      return lms(denoiseOf(setting), x, plan.sigmas!, { order: step.order })
    case 'KDPM2DiscreteScheduler':
      return dpm2(denoiseOf(setting), x, plan.sigmas!)
    case 'KDPM2AncestralDiscreteScheduler':
      return dpm2Ancestral(denoiseOf(setting), x, plan.sigmas!, { noise })
    case 'EDMDPMSolverMultistepScheduler':
      return solver(setting, denoiseOf(setting), x)
    case 'DPMSolverMultistepScheduler':
    case 'DPMSolverSinglestepScheduler':
    case 'UniPCMultistepScheduler':
    case 'DEISMultistepScheduler':
      return inShares(setting, x)
  }
}

/** Stands where a sampler says a timestep that is not listened to. */
const unheard = Number.NaN

/** The network as the scheduler's loop asks it: at the timesteps of its list one after the other, whatever is said. */
function toldInOrder(setting: DiffusersSetting): DiffusersSetting {
  const { timesteps } = callList(setting.scheduler, setting.config, setting.plan)
  let call = 0
  return { ...setting, network: x => setting.network(x, timesteps[call++]!) }
}

/** The levels that are stepped to. */
const reached = ({ sigmas, timesteps }: SchedulePlan) => sigmas!.subarray(0, timesteps.length + 1)

function stepsOf({ scheduler, config, plan }: DiffusersSetting): Step[] {
  return diffusersSteps(scheduler, config, plan)
}

function limitOf({ scheduler, config, images }: DiffusersSetting) {
  const { thresholding, clip_sample } = config
  // TCD's class knows these words, and passes over them; UniPC limits images alone.
  if (scheduler === 'TCDScheduler' || (scheduler === 'UniPCMultistepScheduler' && !config.predict_x0)) return undefined
  if (thresholding) return dynamicThreshold(config.dynamic_thresholding_ratio, config.sample_max_value, images)
  return clip_sample ? clipTo(config.clip_sample_range) : undefined
}

function watched(predict: Predict, { watch }: DiffusersSetting): Predict {
  return watch ? watch.predict(predict) : predict
}

function predictOf(setting: DiffusersSetting): Predict {
  const parameterization = parameterizationOf(setting.config)
  return watched(predictor(setting.network, { parameterization, limit: limitOf(setting) }), setting)
}

function denoiseOf(setting: DiffusersSetting): Denoise {
  const { scheduler, config, network, watch } = setting
  const limit = limitOf(setting)
  const denoise = scheduler.startsWith('EDM')
    ? edmDenoiser(network, {
        sigmaData: config.sigma_data,
        sign: config.prediction_type === 'v_prediction' ? -1 : 1,
        limit,
      })
    : denoiser(network, () => unheard, { parameterization: parameterizationOf(config), limit })
  return watch ? watch.denoise(denoise) : denoise
}

function ddpmVariance({ variance_type }: SchedulerConfig): number {
  if (variance_type === 'fixed_small' || variance_type === 'fixed_small_log') return 0
  if (variance_type === 'fixed_large') return 1
  throw new LatentkitError(
    `Cannot sample with variance_type "${variance_type}": it is no variance, or one that the network would have to predict; choose fixed_small, fixed_small_log or fixed_large`,
  )
}

/** diffusers draws noise for the last step too, where it is multiplied by 0; whoever draws on gets the same numbers. */
async function* drawingLast(sampling: Sampling, noise: Noise): Sampling {
  yield* sampling
  noise()
}

function pndm(setting: DiffusersSetting, x: Float32Array): Sampling {
  const { config, plan } = setting
  const average = parameterizationOf(config)
  if (average === 'x0') throw new LatentkitError('PNDM averages predictions of noise or v, not of the image')
  const steps = stepsOf(setting)
  if (!config.skip_prk_steps) {
    return plms(predictOf(setting), x, steps.slice(3), { average, start: rungeKuttaSteps(config, plan) })
  }
  const second = plan.timesteps[1]
  const stride = Math.floor(config.num_train_timesteps / plan.timesteps.length)
  const again = second !== undefined && {
    from: timedLevel(plan.alphasCumprod, second + stride),
    to: timedLevel(plan.alphasCumprod, second),
  }
  return plms(predictOf(setting), x, steps, { average, ...(again && { again }) })
}

function flow(setting: DiffusersSetting, x: Float32Array): Sampling {
  const { scheduler, config, plan, network, noise, step: given = {} } = setting
  const levels = Array.from(plan.sigmas!, flowLevel)
  const steps = plan.timesteps.map((t, i): Step => ({ from: { t, ...levels[i]! }, to: levels[i + 1]! }))
  const predict = watched(flowPredictor(network), setting)
  if (scheduler === 'FlowMatchHeunDiscreteScheduler') {
    if (given.s_churn)
      throw new LatentkitError('Churn along a flow is not built: its levels end at 1; leave s_churn out')
    return flowHeun(predict, x, steps)
  }
  // Along a straight flow DDIM's step is Euler's.
  return config.stochastic_sampling ? drawingLast(lcm(predict, x, steps, { noise }), noise) : ddim(predict, x, steps)
}

/** diffusers' Euler asks the network before it adds the churn's noise, and converts the answer after. */
function lateChurn(setting: DiffusersSetting, start: Float32Array, churn: number): Sampling {
  const { plan, step = {}, noise } = setting
  const before = denoiseOf(setting)
  const sigmas = reached(plan)
  // It is shared out over all levels, reached or not.
  const share = (sigmas.length - 1) / (plan.sigmas!.length - 1)
  let current = start
  let i = 0
  const late: Denoise = async (raised, sigma) => {
    const own = sigmas[i++]!
    const x0 = await before(current, own)
    return convertedLate(setting, x0, current, own, raised, sigma)
  }
  const options = {
    churn: churn * share,
    churnFrom: step.s_tmin,
    churnTo: step.s_tmax,
    noiseScale: step.s_noise,
    noise,
  }
  return remembering(euler(late, start, sigmas, options), x => {
    current = x
  })
}

async function* remembering(sampling: Sampling, remember: (x: Float32Array) => void): Sampling {
  for await (const step of sampling) {
    remember(step.x)
    yield step
  }
}

/** The image that a prediction made for x at sigma means for the raised batch. */
function convertedLate(
  { scheduler, config }: DiffusersSetting,
  x0: Float32Array,
  x: Float32Array,
  sigma: number,
  raised: Float32Array,
  raisedSigma: number,
): Float32Array {
  if (scheduler === 'EDMEulerScheduler') {
    const data = config.sigma_data ** 2
    const skip = data / (sigma ** 2 + data)
    const skipRaised = data / (raisedSigma ** 2 + data)
    const out = (raisedSigma / sigma) * Math.sqrt(skipRaised / skip)
    return combine(1, combine(out, x0, -out * skip, x), skipRaised, raised)
  }
  switch (parameterizationOf(config)) {
    case 'x0':
      return x0
    case 'v':
      return combine(1, x0, 1 / (sigma ** 2 + 1), combine(1, raised, -1, x))
    case 'epsilon':
      return combine(1, raised, -raisedSigma / sigma, combine(1, x, -1, x0))
  }
}

const flowLevel = (sigma: number): Level => ({ alpha: 1 - sigma, sigma })

/** The solvers whose batches are alpha of the image and sigma of the noise: of unit variance, or along a flow. */
async function* inShares(setting: DiffusersSetting, x: Float32Array): Sampling {
  const { config, plan, network } = setting
  const levels = Array.from(plan.sigmas!, config.use_flow_sigmas ? flowLevel : levelOfSigma)
  const limit = limitOf(setting)
  const predict =
    config.prediction_type === 'flow_prediction' ? watched(flowPredictor(network, limit), setting) : predictOf(setting)
  let asked = 0
  const denoise: Denoise = async batch => {
    const level = levels[asked++]!
    return (await predict(scale(batch, level.alpha), { t: unheard, ...level })).x0
  }
  const sigmas = levels.map(({ alpha, sigma }) => sigma / alpha)
  let i = 0
  for await (const step of solver(setting, denoise, scale(x, 1 / levels[0]!.alpha), sigmas)) {
    i++
    yield { x: scale(step.x, levels[i]!.alpha), x0: step.x0 }
  }
}

function solver(
  { scheduler, config, plan, noise }: DiffusersSetting,
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number> = plan.sigmas!,
): Sampling {
  const { algorithm_type: algorithm } = config
  const order = config.solver_order
  const solverType = config.solver_type === 'heun' ? 'heun' : 'midpoint'
  const few = plan.timesteps.length < 15
  const eta = algorithm.startsWith('sde') ? 1 : 0
  // Its SDE steps of third order subtract the half that the integral adds.
  const bend = eta > 0 ? -1 / 2 : 1 / 2
  const toClean = sigmas[sigmas.length - 1] === 0
  const multistep: MultistepOptions = {
    order,
    lowerOrderFinal: config.lower_order_final && few,
    eulerAtFinal: config.euler_at_final,
  }
  if (scheduler === 'DEISMultistepScheduler') return deis(denoise, x, sigmas, multistep)
  if (scheduler === 'UniPCMultistepScheduler') {
    return unipc(denoise, x, sigmas, {
      order,
      lowerOrderFinal: config.lower_order_final,
      variant: config.solver_type === 'bh1' ? 'bh1' : 'bh2',
      data: config.predict_x0,
      uncorrected: config.disable_corrector,
    })
  }
  if (scheduler === 'DPMSolverSinglestepScheduler') {
    const lowerOrderFinal =
      config.lower_order_final || config.final_sigmas_type === 'zero' || plan.timesteps.length % order !== 0
    const options = {
      order,
      solver: solverType,
      lowerOrderFinal,
      data: algorithm !== 'dpmsolver',
      eta,
      noise,
      bend,
    } as const
    const run = dpmppSinglestep(denoise, x, sigmas, options)
    return eta > 0 && toClean ? drawingLast(run, noise) : run
  }
  const options = { ...multistep, solver: solverType, eta, noise, bend } as const
  const sampling = algorithm.endsWith('++') || algorithm === 'deis' ? dpmppMultistep : dpmMultistep
  const run = sampling(denoise, x, sigmas, options)
  return eta > 0 && toClean ? drawingLast(run, noise) : run
}
