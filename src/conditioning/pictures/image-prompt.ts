import { z } from 'zod'
import { flatten, type Image, imageToPixels, squareOf } from '../../image/index.js'
import { clipMean, clipVision, clipVisionConfig } from '../../perceptual/clip-vision.js'
import { LatentkitError } from '../../platform/errors.js'
import { mul } from '../../tensor/binary.js'
import { f32 } from '../../tensor/tensor.js'
import type { Conditioning, Numbers } from '../contract.js'
import { pictureField } from '../fields.js'
import { imageProjection, imageProjectionConfig } from './image-projection.js'

const config = z.strictObject({
  weight: z.number().describe('how much the picture counts beside the text'),
  projection: imageProjectionConfig,
  vision: clipVisionConfig,
})

/** A picture as a prompt, by an IP-adapter: CLIP's view of it as tokens that the UNet attends to. Source: Ye et al. 2023. */
export const imagePrompt = {
  what: 'a picture as a prompt',
  config,
  request: { imagePrompt: pictureField('the picture that an IP-adapter takes content and style from') },
  layers: ({ vision }) => vision.layers,
  reach: () => ({}),
  inputs: ({ vision: { size } }) => ({
    prompt_picture: f32(3, size, size),
    prompt_picture_given: f32(1),
    prompt_picture_weight: f32(1),
  }),
  embed(at, { projection, vision }, inputs) {
    const { embedding, hidden } = clipVision(at('image_encoder'), vision, inputs.prompt_picture!)
    // Without a picture the whole's embedding is 0, but the places are those of an image of CLIP's mean colour.
    const seen = { embedding: mul(embedding, inputs.prompt_picture_given!), places: hidden.at(-2)! }
    return {
      imageTokens: imageProjection(at('image_proj'), projection, seen),
      imageStrength: inputs.prompt_picture_weight!,
    }
  },
  reader({ vision: { size }, weight }) {
    const numbers = (pixels: Float32Array, given: number): Numbers => ({
      prompt_picture: pixels,
      prompt_picture_given: [given],
      prompt_picture_weight: [weight],
    })
    const seen = (picture: Image) => imageToPixels(squareOf(flatten(picture), size))
    const none = () => numbers(clipMean(size), 0)
    return {
      none,
      ofRecord() {
        throw new LatentkitError('Models with an IP-adapter are not trained here: load the model without it')
      },
      ofRequest({ imagePrompt }) {
        if (imagePrompt === undefined)
          throw new LatentkitError('generate: the IP-adapter needs the picture "imagePrompt"; give one or leave it out')
        return { positive: numbers(seen(imagePrompt as Image), 1), negative: none() }
      },
    }
  },
} satisfies Conditioning<z.output<typeof config>>
