import { z } from 'zod'
import type { SourceLike } from '../../platform/types.js'
import { settingsGroup } from './group.js'

/** What is shown while a generation works. */
export const previews = settingsGroup({
  shape: {
    previewEvery: z.int().positive().optional().describe('steps between two previews (default no previews)'),
    previewBy: z
      .enum(['decoder', 'colours', 'taesd'])
      .optional()
      .describe(
        "how previews are painted: by the model's decoder, the first one so and then roughly by the colour of each latent, or by a TAESD (default decoder, or TAESD where it is given)",
      ),
    taesd: z
      .custom<SourceLike>(value => ['string', 'object'].includes(typeof value))
      .optional()
      .meta({ placeholder: 'FILE' })
      .describe("the decoder of TAESD, a tiny one of Stable Diffusion's latents, for previews"),
  },
  check({ previewBy, taesd }) {
    if (previewBy === 'taesd' && taesd === undefined)
      return { at: 'previewBy', message: 'wants the file of a TAESD decoder as taesd' }
    if (previewBy !== undefined && previewBy !== 'taesd' && taesd !== undefined)
      return { at: 'taesd', message: `is not used where previews are painted by ${previewBy}; leave one out` }
    return undefined
  },
})
