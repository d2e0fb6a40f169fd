export { guide, guideByTwo, rescaleGuided, type TwoConditions } from './classifier-free.js'
export { type KnownPart, type KnownPrediction, keepKnown, knownPrediction } from './known-part.js'
export { type MimicOptions, mimicRange } from './mimic.js'
export { type Force, steer } from './steer.js'
