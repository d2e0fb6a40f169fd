export type { Denoise, Noise, Predict, Prediction, SampleStep, Sampling } from './contract.js'
export { type DdimOptions, ddim } from './ddim.js'
export { type DdpmOptions, type DdpmStep, ddpm } from './ddpm.js'
export {
  clipTo,
  denoiser,
  dynamicThreshold,
  levelOfSigma,
  type ModelOptions,
  type Network,
  predictor,
} from './model.js'
export {
  isSamplerName,
  type SampleOptions,
  type SamplerName,
  type SamplingModel,
  sample,
  samplers,
} from './table.js'
