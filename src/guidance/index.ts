export { guide, guideByTwo, rescaleGuided, type TwoConditions } from './classifier-free.js'
export { type KnownPart, keepKnown } from './known-part.js'
export { type Force, steer } from './steer.js'
