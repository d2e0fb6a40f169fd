export { logLinear } from './align-your-steps.js'
export { type BetaSchedule, cumulativeAlphas, makeBetas } from './betas.js'
export { type DdimParameters, ddimParameters, ddimTimesteps } from './ddim-steps.js'
export { type DdpmBuffers, ddpmBuffers } from './ddpm-buffers.js'
export { diffusersAlphasCumprod, diffusersBetas } from './diffusers/alphas.js'
export { type CallList, callList } from './diffusers/calls.js'
export {
  isSchedulerName,
  parameterizationOf,
  type SchedulerConfig,
  type SchedulerName,
  schedulerConfig,
} from './diffusers/config.js'
export { type PlanOptions, type SchedulePlan, schedulePlan } from './diffusers/plan.js'
export { type CompvisStart, compvisStart, type DiffusersStart, diffusersStart } from './image-to-image.js'
export { sampleDeviation, scaleByStd } from './latent-scale.js'
export { klOptimalSigmas } from './level-curves.js'
export { linspace } from './linspace.js'
export { type ModelNoise, type ModelPrediction, type ModelSchedule, modelSchedule } from './model-schedule.js'
export {
  addNoise,
  combine,
  type Level,
  levelOfSigma,
  target,
  toEpsilon,
  toV,
  toX0,
  vpLevel,
} from './parameterization.js'
export { quantileOfSizes } from './quantile.js'
export { lastSteps, type SamplingPlanOptions, samplingPlan, stepsBetween } from './sampling-plan.js'
export {
  type Levels,
  levelsByFormula,
  type SamplingSchedule,
  type ScheduleOptions,
  schedules,
} from './sampling-schedules.js'
export {
  betaSigmas,
  type DiscreteSigmas,
  discreteSigmas,
  exponentialSigmas,
  karrasSigmas,
  polyexponentialSigmas,
  sigmaOfNoSignal,
  timeUniformLevels,
  vpSigmas,
} from './sigmas.js'
export { type SlerpOptions, slerp } from './slerp.js'
export { cumulativeAlphas32, minSnrWeight, type Parameterization, rescaleZeroTerminalSnr, snr } from './snr.js'
export { solveLinear } from './solve-linear.js'
export {
  clean,
  compvisSteps,
  diffusersSteps,
  everyStep,
  type RungeKuttaStep,
  rungeKuttaSteps,
  type Step,
  type TimedLevel,
  timedLevel,
  timeUniformSteps,
} from './steps.js'
