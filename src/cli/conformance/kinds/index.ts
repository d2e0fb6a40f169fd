import type { Kind } from '../kind.js'
import { autoencoders } from './autoencoder.js'
import { autoencoderTraining } from './autoencoder-training.js'
import { diffusionTraining } from './diffusion-training.js'
import { firstStageParts } from './first-stage-parts.js'
import { formats } from './formats.js'
import { guidanceKinds } from './guidance.js'
import { generative, imageBytes, psnrAndSsim, resizing } from './metrics.js'
import { optimiserKinds } from './optimisers.js'
import { philoxRandom, rawWords, torchRandom } from './rng.js'
import { samplers } from './samplers/index.js'
import { schedules } from './schedules.js'
import { textEncoders } from './text-encoders.js'
import { tokenizers } from './tokenizers.js'
import { denoisers } from './unet.js'

/** All kinds that latentkit computes; the first that recognises a case runs it. */
export const kinds: readonly Kind[] = [
  torchRandom,
  philoxRandom,
  rawWords,
  ...schedules,
  ...samplers,
  ...guidanceKinds,
  psnrAndSsim,
  imageBytes,
  resizing,
  generative,
  denoisers,
  ...autoencoders,
  autoencoderTraining,
  ...firstStageParts,
  ...diffusionTraining,
  ...optimiserKinds,
  ...textEncoders,
  ...tokenizers,
  formats,
]
