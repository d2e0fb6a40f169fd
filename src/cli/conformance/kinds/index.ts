import type { Kind } from '../kind.js'
import { formats } from './formats.js'
import { generative, imageBytes, psnrAndSsim, resizing } from './metrics.js'
import { optimiserKinds } from './optimisers.js'
import { philoxRandom, rawWords, torchRandom } from './rng.js'
import { samplers } from './samplers/index.js'
import { schedules } from './schedules.js'
import { tokenizers } from './tokenizers.js'

/** All kinds that latentkit computes; the first that recognises a case runs it. */
export const kinds: readonly Kind[] = [
  torchRandom,
  philoxRandom,
  rawWords,
  ...schedules,
  ...samplers,
  psnrAndSsim,
  imageBytes,
  resizing,
  generative,
  ...optimiserKinds,
  ...tokenizers,
  formats,
]
