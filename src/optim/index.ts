export { type AdamOptions, adam, adamw } from './adam.js'
export { type EmaOptions, ema } from './ema.js'
export { type Cycle, cosineCycles, linearCycles, type RateSchedule, warmupCosine } from './learning-rate.js'
export { type SgdOptions, sgd } from './sgd.js'
