export { autoencoderFromDiffusers, autoencoderRenames, autoencoderToDiffusers } from './autoencoder.js'
export { controlRenames } from './control-names.js'
export { unetFromDiffusers, unetToDiffusers } from './unet-config.js'
export { unetRenames } from './unet-names.js'
