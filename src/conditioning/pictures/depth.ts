import { z } from 'zod'
import { greyLevels, type Image, interpolate } from '../../image/index.js'
import { FileError } from '../../platform/errors.js'
import { f32 } from '../../tensor/tensor.js'
import type { Conditioning, Place } from '../contract.js'
import { pictureField, pictureOf } from '../fields.js'

const config = z.strictObject({})

/**
 * How near things are, as one channel beside the latents: -1 the farthest, 1 the nearest. Source: stablediffusion,
 * ldm/models/diffusion/ddpm.py, LatentDepth2ImageDiffusion, whose MiDaS estimates it from a picture.
 */
export const depth = {
  what: 'a picture of depth',
  config,
  sees: ['map'],
  request: {
    depth: pictureField('how near things are, for models of depth: a picture of grey levels, brighter where nearer'),
  },
  size: (_, { depth: picture }) => picture as Image | undefined,
  reach: () => ({ concat: 1 }),
  inputs: (_, { latents: [, height, width] }) => ({ depth: f32(1, height, width) }),
  embed: (_, __, { depth }) => ({ concat: depth! }),
  reader: () => ({
    async ofRecord({ picture, map }, place) {
      const levels = await map()
      if (levels === undefined) {
        throw new FileError(
          picture.file,
          'has no picture of depth; wanted is a PNG of grey levels, named in captions.jsonl as "map" or beside the picture as NAME.map.png',
        )
      }
      return { depth: nearness(levels, place, place) }
    },
    ofRequest(request, place) {
      const picture = pictureOf(request, 'depth', 'paints what a picture of depth tells')
      return { positive: { depth: nearness(greyLevels(picture, 'depth'), picture, place) } }
    },
  }),
} satisfies Conditioning<z.output<typeof config>>

/** Levels at the size of the latents, stretched to [-1, 1]; of one level alone, -1. */
function nearness(
  levels: Uint8Array,
  from: { readonly width: number; readonly height: number },
  { latents: [, height, width] }: Place,
): Float32Array {
  const small = interpolate(Float32Array.from(levels), from, { width, height }, { mode: 'bicubic' })
  const [low, high] = small.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity])
  const range = Math.max(high - low, Number.EPSILON)
  return small.map(value => (2 * (value - low)) / range - 1)
}
