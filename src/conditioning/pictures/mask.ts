import { z } from 'zod'
import { greyLevels, type Image, imageToPixels } from '../../image/index.js'
import { LatentkitError } from '../../platform/errors.js'
import { add, mul } from '../../tensor/binary.js'
import { resizeNearest } from '../../tensor/resize.js'
import { sizeOf } from '../../tensor/shape.js'
import { concat } from '../../tensor/slice.js'
import { f32 } from '../../tensor/tensor.js'
import type { Conditioning, Place } from '../contract.js'
import { checkSize, imageField, pictureField, pictureOf } from '../fields.js'
import { randomMask } from './random-masks.js'

const config = z.strictObject({
  form: z
    .enum(['ldm', 'stable-diffusion'])
    .default('ldm')
    .describe(
      'ldm: the picture, black where it is masked, then the mask as -1 and 1; stable-diffusion: the mask as 0 and 1, then the picture, grey there',
    ),
  everything: z.number().min(0).max(1).default(0).describe('share of the training masks that cover the whole picture'),
})

/** A picture of which a part is to be painted: its latents without that part, and the mask, beside the noisy ones. */
export const mask = {
  what: 'a picture and a mask',
  config,
  sees: ['pixels'],
  request: {
    image: imageField,
    mask: pictureField('what to paint in --image: a picture of its size, white there and black elsewhere'),
  },
  size: (_, { image: picture }) => picture as Image | undefined,
  reach: (_, latentChannels) => ({ concat: latentChannels + 1 }),
  inputs: (_, { width, height, latents }) => ({
    masked: f32(3, height, width),
    mask: f32(1, height, width),
    drawn: f32(...latents),
  }),
  encodes: ['masked'],
  // Sources: latent-diffusion, scripts/inpaint.py; stablediffusion, LatentInpaintDiffusion.
  embed(_, { form }, { masked, mask, drawn }, { encode, place: { latents } }) {
    const z = encode(masked!, drawn!)
    const small = resizeNearest(mask!, [latents[1], latents[2]])
    return { concat: concat(form === 'ldm' ? [z, add(mul(small, 2), -1)] : [small, z], { axis: 1 }) }
  },
  reader({ everything, form }) {
    const hidden = form === 'ldm' ? -1 : 0
    const numbers = (pixels: Float32Array, mask: Float32Array, { latents }: Place) => ({
      masked: pixels.map((value, i) => (mask[i % mask.length] === 0 ? value : hidden)),
      mask,
      // Latents are their mean.
      drawn: new Float32Array(sizeOf(latents)),
    })
    return {
      async ofRecord({ pixels, random }, place) {
        const { width, height } = place
        return numbers(await pixels(), randomMask({ width, height, everything }, random), place)
      },
      ofRequest(request, place, _random?, draw?) {
        const why = 'paints in a picture where a mask is white'
        const [picture, white] = [pictureOf(request, 'image', why), pictureOf(request, 'mask', why)]
        checkSize('image', picture, place)
        checkSize('mask', white, place)
        const mask = Float32Array.from(greyLevels(white, 'mask'), level => (level < 128 ? 0 : 1))
        if (!mask.includes(1)) throw new LatentkitError('generate: mask is black: there is nothing to paint')
        return {
          positive: numbers(imageToPixels(picture), mask, place),
          late: draw && (() => ({ drawn: draw(sizeOf(place.latents)) })),
          // What is known stays as it is, to the bit.
          finish: painted => ({
            ...picture,
            data: picture.data.map((value, i) => (mask[Math.floor(i / 3)] === 0 ? value : painted.data[i]!)),
          }),
        }
      },
    }
  },
} satisfies Conditioning<z.output<typeof config>>
