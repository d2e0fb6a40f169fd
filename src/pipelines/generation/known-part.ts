import { keepKnown } from '../../guidance/index.js'
import type { Image } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import type { Before, Noise } from '../../samplers/index.js'
import type { Plan } from '../settings/plan.js'
import type { Latents } from './latents.js'
import { joined } from './noise.js'
import type { Batch, Known } from './stage.js'

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

/** Whether a plan's tool keeps the known part by noising it before each step: CompVis' own samplers alone do. */
export const noisesKnown = ({ profile, sampler }: Pick<Plan, 'profile' | 'sampler'>): boolean =>
  profile === 'compvis' && (sampler === 'ddim' || sampler === 'plms')

/** Puts the known part of a picture, noised, into each picture of a batch. */
export function noisedKnown({ original, kept }: Known, { shape }: Batch, noise: Noise): Before {
  const [images] = shape
  const each = (one: Float32Array) => joined(Array.from({ length: images }, () => one))
  return keepKnown({ x0: each(original), mask: each(kept), shape, noise })
}
