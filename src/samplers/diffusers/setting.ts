import {
  callList,
  type Level,
  parameterizationOf,
  type SchedulePlan,
  type SchedulerConfig,
  type SchedulerName,
} from '../../diffusion/index.js'
import type { Denoise, Noise, Predict, Sampling } from '../contract.js'
import { clipTo, dynamicThreshold } from '../limits.js'
import { denoiser, type Network, predictor } from '../model.js'
import { edmDenoiser } from '../preconditioning.js'

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

/** What a scheduler's `step` takes, in its words. */
export interface DiffusersStepOptions {
  readonly eta?: number | undefined
  readonly s_churn?: number | undefined
  readonly s_tmin?: number | undefined
  readonly s_tmax?: number | undefined
  readonly s_noise?: number | undefined
  readonly order?: number | undefined
}

/** Stands where a sampler says a timestep that is not listened to. */
export const unheard = Number.NaN

/** The network as the scheduler's loop asks it: at the timesteps of its list one after the other, whatever is said. */
export function toldInOrder(setting: DiffusersSetting): DiffusersSetting {
  const { timesteps } = callList(setting.scheduler, setting.config, setting.plan)
  let call = 0
  return { ...setting, network: x => setting.network(x, timesteps[call++]!) }
}

/** The levels that are stepped to. */
export const reached = ({ sigmas, timesteps }: SchedulePlan) => sigmas!.subarray(0, timesteps.length + 1)

/** What keeps predicted images in range, as a configuration asks. */
export function limitOf({ scheduler, config, images }: DiffusersSetting) {
  const { thresholding, clip_sample } = config
  // TCD's class knows these words, and passes over them; UniPC limits images alone.
  if (scheduler === 'TCDScheduler' || (scheduler === 'UniPCMultistepScheduler' && !config.predict_x0)) return undefined
  if (thresholding) return dynamicThreshold(config.dynamic_thresholding_ratio, config.sample_max_value, images)
  return clip_sample ? clipTo(config.clip_sample_range) : undefined
}

/** What is asked, seen by whoever watches. */
export function watched(predict: Predict, { watch }: DiffusersSetting): Predict {
  return watch ? watch.predict(predict) : predict
}

/** The network as samplers of unit variance ask it. */
export function predictOf(setting: DiffusersSetting): Predict {
  const parameterization = parameterizationOf(setting.config)
  return watched(predictor(setting.network, { parameterization, limit: limitOf(setting) }), setting)
}

/** The network as samplers over noise levels ask it. */
export function denoiseOf(setting: DiffusersSetting): Denoise {
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

/** diffusers draws noise for the last step too, where it is multiplied by 0; whoever draws on gets the same numbers. */
export async function* drawingLast(sampling: Sampling, noise: Noise): Sampling {
  yield* sampling
  noise()
}

/** A level along a rectified flow. */
export const flowLevel = (sigma: number): Level => ({ alpha: 1 - sigma, sigma })
