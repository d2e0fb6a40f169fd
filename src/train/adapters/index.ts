export { trainControlNet } from './control-net.js'
export { trainDreambooth } from './dreambooth.js'
export type { FineTuneOptions } from './fine-tune.js'
export { trainLora } from './lora.js'
export {
  type ControlNetRecipe,
  controlNetRecipe,
  type DreamboothRecipe,
  dreamboothRecipe,
  type LoraRecipe,
  loraRecipe,
  type TextualInversionRecipe,
  textualInversionRecipe,
} from './recipes.js'
export { trainTextualInversion } from './textual-inversion.js'
