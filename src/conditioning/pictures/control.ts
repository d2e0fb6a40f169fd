import { z } from 'zod'
import { edges } from '../../image/index.js'
import { f32 } from '../../tensor/tensor.js'
import type { Conditioning } from '../contract.js'
import { hintPixels, hintsField, hintsOf } from './hints.js'

const config = z.strictObject({
  weights: z.array(z.number()).min(1).max(16).describe('how much each ControlNet counts'),
  places: z.int().positive().max(1024).default(1).describe('places of the UNet at which it may count otherwise'),
})

/** Hints for the ControlNets beside a UNet, one picture each, with their weights. Source: ControlNet, cldm/cldm.py. */
export const control = {
  what: 'a hint',
  config,
  sees: ['pixels', 'hint'],
  request: {
    hint: hintsField(
      'the picture that each ControlNet follows, such as white edges on black; transparent pixels are not known (-1); ' +
        'several with commas between (default the picture to start from, transparent where a mask is white)',
    ),
  },
  reach: () => ({}),
  inputs: ({ weights, places }, { width, height }) => ({
    hints: f32(3 * weights.length, height, width),
    strengths: f32(weights.length, places),
  }),
  embed: (_, __, { hints, strengths }) => ({ hint: hints!, strength: strengths! }),
  reader({ weights, places }) {
    const strengths = weights.flatMap(weight => new Array<number>(places).fill(weight))
    return {
      async ofRecord({ pixels, hint }, { width, height }) {
        const given = (await hint()) ?? threefold(edges(await pixels(), width, height))
        return { hints: weights.flatMap(() => Array.from(given)), strengths }
      },
      ofRequest(request, place) {
        const pictures = hintsOf(request, 'hint', { count: weights.length, of: 'ControlNets' })
        // What is not known of a picture is -1. Source: sd-webui-controlnet, scripts/processor.py, inpaint's preprocessor.
        const planes = pictures.flatMap(picture => [...hintPixels(picture, place, { clear: -1 })])
        return { positive: { hints: planes, strengths } }
      },
    }
  },
} satisfies Conditioning<z.output<typeof config>>

const threefold = (plane: Float32Array): number[] => [...plane, ...plane, ...plane]
