export {
  assumedConditions,
  type ConditioningConfig,
  type ConditioningRecipe,
  type ConditionsReader,
  checkRequest,
  conditioningConfig,
  conditioningRecipe,
  conditionsRoot,
  deepestCondition,
  embedConditions,
  embedderScope,
  inputsOf,
  learnConditions,
  openReaders,
  reachOf,
  readersOf,
  requestFields,
  requestShape,
  sightsOf,
  sizeOfRequest,
  stack,
  textShapeOf,
  withFiles,
} from './conditions.js'
export type {
  Asked,
  Box,
  Conditioned,
  Neighbours,
  Numbers,
  Place,
  Request,
  RequestField,
  Sight,
  Spoken,
  SpokenPhrase,
  Stored,
  TextShape,
  TrainingRecord,
} from './contract.js'
export { imageSchema, pictureField } from './fields.js'
export type { Retrieved } from './neighbours.js'
export { type ConditioningName, conditionings } from './table.js'
export { type ClipSkipRule, withClipSkip } from './texts/clip-skip.js'
export type { SpokenOver } from './texts/sentences.js'
