export { autoencoderFromDiffusers, autoencoderRenames, autoencoderToDiffusers } from './autoencoder.js'
export { controlRenames } from './control-names.js'
export {
  type DiffusersFolder,
  diffusersIndex,
  isDiffusersFolder,
  openDiffusersFolder,
  type TowerConfig,
} from './folder.js'
export { scheduleFromDiffusers, scheduleToDiffusers } from './scheduler.js'
export { type TextEncoderWords, textEncoderTensors, textEncoderToDiffusers } from './text-encoder.js'
export { unetFromDiffusers, unetToDiffusers } from './unet-config.js'
export { unetRenames } from './unet-names.js'
