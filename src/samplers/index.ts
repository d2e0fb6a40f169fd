export { levelOfSigma, quantileOfSizes } from '../diffusion/index.js'
export type { Before, Denoise, Noise, Predict, Prediction, SampleStep, Sampling } from './contract.js'
export { diffusersSampling } from './diffusers/sampling.js'
export type { DiffusersSetting, DiffusersStepOptions } from './diffusers/setting.js'
export { type LcmOptions, lcm } from './distilled/lcm.js'
export { type TcdOptions, tcd } from './distilled/tcd.js'
export { samplingNetwork } from './flow/network.js'
export { flowEuler, flowHeun } from './flow/rectified-flow.js'
export { clipTo, dynamicThreshold, limitNorm, limitSpatialNorm } from './limits.js'
export {
  denoiser,
  type GuidedNetwork,
  type ModelOptions,
  type Network,
  predictor,
  type Renoised,
  scale,
} from './model.js'
export { deis } from './multistep/deis.js'
export { dpmMultistep } from './multistep/dpm-multistep.js'
export { type DpmppOptions, dpmppMultistep } from './multistep/dpmpp-multistep.js'
export { type LmsOptions, lms } from './multistep/lms.js'
export type { MultistepOptions } from './multistep/orders.js'
export { type UnipcOptions, unipc } from './multistep/unipc.js'
export { type EdmOptions, edmDenoiser, flowPredictor } from './preconditioning.js'
export { type BatchNoise, type Draw, type NoiseSource, plainNoise, type SeededPicture } from './profiles/draws.js'
export { type Keeping, type Profile, type ProfileWay, profileNoise, profileWay, rulesOf } from './profiles/profile.js'
export { type ProfileName, profiles } from './profiles/table.js'
export type { AncestralOptions } from './single-step/ancestral.js'
export { type AdaptiveOptions, type AdaptiveStep, dpmAdaptive, dpmFast } from './single-step/dpm-solver.js'
export { dpm2, dpm2Ancestral } from './single-step/dpm2.js'
export { dpmpp2sAncestral } from './single-step/dpmpp-2s-ancestral.js'
export { type DpmppSdeOptions, dpmppSde } from './single-step/dpmpp-sde.js'
export { dpmppSinglestep, type SinglestepOptions } from './single-step/dpmpp-singlestep.js'
export { type ChurnOptions, euler } from './single-step/euler.js'
export { eulerAncestral } from './single-step/euler-ancestral.js'
export { heun } from './single-step/heun.js'
export { type RestartOptions, type RestartStretch, restart, restartPlan } from './single-step/restart.js'
export {
  isSamplerName,
  type SampleOptions,
  type Sampler,
  type SamplerName,
  type SamplingModel,
  sample,
  samplers,
} from './table.js'
export { type DdimOptions, ddim } from './timesteps/ddim.js'
export { type DdpmOptions, type DdpmStep, ddpm } from './timesteps/ddpm.js'
export { type PlmsOptions, plms } from './timesteps/plms.js'
