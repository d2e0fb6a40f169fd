export { type AdamOptions, adam, adamw } from './adam.js'
export { type EmaOptions, ema } from './ema.js'
export { type SgdOptions, sgd } from './sgd.js'
