import type { BatchNoise } from './noise.js'

/** The latents that a batch starts from, at the level where its way begins. */
export const startingLatents = ({ start }: BatchNoise): Float32Array => start()
