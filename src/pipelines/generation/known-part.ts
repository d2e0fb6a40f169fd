import type { Image } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import type { Latents } from './latents.js'
import type { Known } from './stage.js'

/** From this grey level on a pixel of a mask is white: the same as for models that are told of the mask. */
const white = 128

/** The part of a picture that is not painted: in its latents, and in the finished picture. */
export function knownPart({ picture, mask, latents }: { picture: Image; mask: Image; latents: Latents }) {
  const { width } = picture
  const levels = Float32Array.from(
    { length: mask.data.length / 3 },
    (_, i) => (mask.data[3 * i]! + mask.data[3 * i + 1]! + mask.data[3 * i + 2]!) / 3,
  )
  if (!levels.some(level => level >= white))
    throw new LatentkitError('generate: mask is black: there is nothing to paint; make white what is to be painted')
  const [, h, w] = latents.shape
  const factor = width / w
  // A latent is painted as soon as a single pixel that it stands for is.
  const kept = new Float32Array(h * w).fill(1)
  for (const [i, level] of levels.entries())
    if (level >= white) kept[Math.floor(Math.floor(i / width) / factor) * w + Math.floor((i % width) / factor)] = 0
  const known: Known = { original: latents.data, kept }
  return {
    latents: known,
    finish: (painted: Image): Image => ({
      ...painted,
      data: painted.data.map((value, i) => {
        const share = levels[Math.floor(i / 3)]! / 255
        return Math.round(share * value + (1 - share) * picture.data[i]!)
      }),
    }),
  }
}
