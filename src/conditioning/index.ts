export {
  type ConditioningConfig,
  type ConditioningRecipe,
  conditioningConfig,
  conditioningRecipe,
  requestFields,
  requestShape,
} from './config.js'
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
export { assumedConditions, learnConditions, sightsOf, withFiles } from './lesson.js'
export type { Retrieved } from './neighbours.js'
export {
  conditionsRoot,
  deepestCondition,
  embedConditions,
  embedderScope,
  encodedInputs,
  inputsOf,
  reachOf,
  textShapeOf,
} from './network.js'
export { type ConditionsReader, openReaders, readersOf, stack } from './readers.js'
export { checkRequest, sizeOfRequest } from './request.js'
export { type ConditioningName, conditionings } from './table.js'
export { type ClipSkipRule, withClipSkip } from './texts/clip-skip.js'
export type { SpokenOver } from './texts/sentences.js'
