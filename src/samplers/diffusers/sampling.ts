import {
  diffusersSteps,
  parameterizationOf,
  rungeKuttaSteps,
  type SchedulerConfig,
  type Step,
  timedLevel,
} from '../../diffusion/index.js'
import { LatentkitError } from '../../platform/errors.js'
import type { Sampling } from '../contract.js'
import { lcm } from '../distilled/lcm.js'
import { tcd } from '../distilled/tcd.js'
import { flowHeun } from '../flow/rectified-flow.js'
import { lms } from '../multistep/lms.js'
import { flowPredictor } from '../preconditioning.js'
import { dpm2, dpm2Ancestral } from '../single-step/dpm2.js'
import { euler } from '../single-step/euler.js'
import { eulerAncestral } from '../single-step/euler-ancestral.js'
import { heun } from '../single-step/heun.js'
import { ddim } from '../timesteps/ddim.js'
import { ddpm } from '../timesteps/ddpm.js'
import { plms } from '../timesteps/plms.js'
import { lateChurn } from './late-churn.js'
import {
  type DiffusersSetting,
  denoiseOf,
  drawingLast,
  flowLevel,
  predictOf,
  reached,
  toldInOrder,
  watched,
} from './setting.js'
import { inShares, solver } from './solvers.js'

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

function stepsOf({ scheduler, config, plan }: DiffusersSetting): Step[] {
  return diffusersSteps(scheduler, config, plan)
}

function ddpmVariance({ variance_type }: SchedulerConfig): number {
  if (variance_type === 'fixed_small' || variance_type === 'fixed_small_log') return 0
  if (variance_type === 'fixed_large') return 1
  throw new LatentkitError(
    `Cannot sample with variance_type "${variance_type}": it is no variance, or one that the network would have to predict; choose fixed_small, fixed_small_log or fixed_large`,
  )
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
