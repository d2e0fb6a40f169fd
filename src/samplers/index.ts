export { levelOfSigma, quantileOfSizes } from '../diffusion/index.js'
export type { AncestralOptions } from './ancestral.js'
export type { Before, Denoise, Noise, Predict, Prediction, SampleStep, Sampling } from './contract.js'
export { type DdimOptions, ddim } from './ddim.js'
export { type DdpmOptions, type DdpmStep, ddpm } from './ddpm.js'
export { deis } from './deis.js'
export { type DiffusersSetting, type DiffusersStepOptions, diffusersSampling } from './diffusers.js'
export { dpmMultistep } from './dpm-multistep.js'
export { type AdaptiveOptions, type AdaptiveStep, dpmAdaptive, dpmFast } from './dpm-solver.js'
export { dpm2, dpm2Ancestral } from './dpm2.js'
export { dpmpp2sAncestral } from './dpmpp-2s-ancestral.js'
export { type DpmppOptions, dpmppMultistep } from './dpmpp-multistep.js'
export { type DpmppSdeOptions, dpmppSde } from './dpmpp-sde.js'
export { dpmppSinglestep, type SinglestepOptions } from './dpmpp-singlestep.js'
export { type ChurnOptions, euler } from './euler.js'
export { eulerAncestral } from './euler-ancestral.js'
export { samplingNetwork } from './flow.js'
export { heun } from './heun.js'
export { type LcmOptions, lcm } from './lcm.js'
export { clipTo, dynamicThreshold, limitNorm, limitSpatialNorm } from './limits.js'
export { type LmsOptions, lms } from './lms.js'
export {
  denoiser,
  type GuidedNetwork,
  type ModelOptions,
  type Network,
  predictor,
  type Renoised,
  scale,
} from './model.js'
export type { MultistepOptions } from './multistep.js'
export { type PlmsOptions, plms } from './plms.js'
export { type EdmOptions, edmDenoiser, flowPredictor } from './preconditioning.js'
export { type BatchNoise, type NoiseSource, plainNoise, type SeededPicture } from './profiles/draws.js'
export { type Profile, type ProfileWay, profileNoise, profileWay, rulesOf } from './profiles/profile.js'
export { type ProfileName, profiles } from './profiles/table.js'
export { flowEuler, flowHeun } from './rectified-flow.js'
export { type RestartOptions, type RestartStretch, restart, restartPlan } from './restart.js'
export {
  isSamplerName,
  type SampleOptions,
  type Sampler,
  type SamplerName,
  type SamplingModel,
  sample,
  samplers,
} from './table.js'
export { type TcdOptions, tcd } from './tcd.js'
export { type UnipcOptions, unipc } from './unipc.js'
