import { z } from 'zod'
import { edges } from '../../image/index.js'
import { f32 } from '../../tensor/tensor.js'
import type { Conditioning } from '../contract.js'
import { hintPixels, hintsField, hintsOf } from './hints.js'

const config = z.strictObject({
  weights: z.array(z.number()).min(1).max(16).describe('how much each ControlNet counts'),
})

/** Hints for the ControlNets beside a UNet, one picture each, with their weights. Source: ControlNet, cldm/cldm.py. */
export const control = {
  what: 'a hint',
  config,
  sees: ['pixels', 'hint'],
  request: {
    hint: hintsField(
      'the picture that each ControlNet follows, such as white edges on black; several with commas between',
    ),
  },
  reach: () => ({}),
  inputs: ({ weights }, { width, height }) => ({
    hints: f32(3 * weights.length, height, width),
    strengths: f32(weights.length),
  }),
  embed: (_, __, { hints, strengths }) => ({ hint: hints!, strength: strengths! }),
  reader({ weights: strengths }) {
    return {
      async ofRecord({ pixels, hint }, { width, height }) {
        const given = (await hint()) ?? threefold(edges(await pixels(), width, height))
        return { hints: strengths.flatMap(() => Array.from(given)), strengths }
      },
      ofRequest(request, place) {
        const pictures = hintsOf(request, 'hint', { count: strengths.length, of: 'ControlNets' })
        const planes = pictures.flatMap(picture => [...hintPixels(picture, place)])
        return { positive: { hints: planes, strengths } }
      },
    }
  },
} satisfies Conditioning<z.output<typeof config>>

const threefold = (plane: Float32Array): number[] => [...plane, ...plane, ...plane]
