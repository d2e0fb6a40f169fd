import type { Kind } from '../kind.js'
import { generative, imageBytes, psnrAndSsim, resizing } from './metrics.js'
import { philoxRandom, rawWords, torchRandom } from './rng.js'

/** All kinds that latentkit computes; the first that recognises a case runs it. */
export const kinds: readonly Kind[] = [
  torchRandom,
  philoxRandom,
  rawWords,
  psnrAndSsim,
  imageBytes,
  resizing,
  generative,
]
