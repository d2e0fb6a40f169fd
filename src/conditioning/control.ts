import { z } from 'zod'
import { edges, flatten, type Image, imageToPixels, resizeImage } from '../image/index.js'
import { LatentkitError } from '../platform/errors.js'
import { f32 } from '../tensor/tensor.js'
import type { Conditioning } from './contract.js'
import { pictureField } from './fields.js'

const config = z.strictObject({
  weights: z.array(z.number()).min(1).max(16).describe('how much each ControlNet counts'),
})

const one = pictureField('')

/** Hints for the ControlNets beside a UNet, one picture each, with their weights. Source: ControlNet, cldm/cldm.py. */
export const control = {
  what: 'a hint',
  config,
  request: {
    hint: {
      schema: z.union([one.schema, z.array(one.schema)]),
      describe: 'the picture that each ControlNet follows, such as white edges on black; several with commas between',
      placeholder: 'FILES',
      read: (text: string) => Promise.all(text.split(',').map(one.read)),
    },
  },
  reach: () => ({}),
  inputs: ({ weights }, { width, height }) => ({
    hints: f32(3 * weights.length, height, width),
    strengths: f32(weights.length),
  }),
  embed: (_, __, { hints, strengths }) => ({ hint: hints!, strength: strengths! }),
  reader({ weights: strengths }) {
    return {
      async ofRecord({ pixels }, { width, height }) {
        const lines = edges(await pixels(), width, height)
        return { hints: strengths.flatMap(() => [...lines, ...lines, ...lines]), strengths }
      },
      ofRequest({ hint }, { width, height }) {
        const pictures = ([] as (Image | undefined)[]).concat(hint as Image | Image[] | undefined).flatMap(p => p ?? [])
        if (pictures.length !== strengths.length) {
          throw new LatentkitError(
            `generate: there are ${strengths.length} ControlNets and ${pictures.length} hints: give each a picture, in their order`,
          )
        }
        const planes = pictures.flatMap(picture => [...hintPixels(flatten(picture), width, height)])
        return { positive: { hints: planes, strengths } }
      },
    }
  },
} satisfies Conditioning<z.output<typeof config>>

/** A hint as ControlNets read it: [3, height, width] in [0, 1], at the size of the picture. */
function hintPixels(picture: Image, width: number, height: number): Float32Array {
  const same = picture.width === width && picture.height === height
  return imageToPixels(same ? picture : resizeImage(picture, width, height)).map(value => (value + 1) / 2)
}
