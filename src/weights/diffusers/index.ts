export { joinedAttention, splitAttention } from './attention-rows.js'
export { autoencoderFromDiffusers, autoencoderToDiffusers, usualScale } from './autoencoder.js'
export { autoencoderRenames } from './autoencoder-names.js'
export { bertRenames, bertToDiffusers } from './bert.js'
export { controlRenames } from './control-names.js'
export {
  type DiffusersFolder,
  diffusersIndex,
  isDiffusersFolder,
  openDiffusersFolder,
  type TowerConfig,
} from './folder.js'
export { plainUnetToDiffusers } from './plain-unet.js'
export { scheduleFromDiffusers, scheduleToDiffusers } from './scheduler.js'
export { type TextEncoderWords, textEncoderTensors, textEncoderToDiffusers } from './text-encoder.js'
export { tinyAutoencoderRenames, tinyAutoencoderToDiffusers } from './tiny-autoencoder.js'
export { unetFromDiffusers, unetToDiffusers } from './unet-config.js'
export { unetRenames } from './unet-names.js'
