import { z } from 'zod'
import { severalLatentsSchema } from '../generation/latents.js'
import { settingsGroup } from './group.js'

/** What a generation starts from instead of noise alone; the picture itself is the setting `image`. */
export const start = settingsGroup({
  shape: {
    strength: z
      .number()
      .positive()
      .max(1)
      .optional()
      .describe('how much of a picture is painted anew, up to 1: all of it (default 0.75; with a mask 1)'),
    fit: z
      .enum(['crop', 'stretch'])
      .default('crop')
      .describe('how a picture of another shape than width and height is brought to it'),
    latents: severalLatentsSchema.optional().describe('instead of a picture, its latents; or those of each picture'),
  },
  check: ({ strength, latents, ...rest }) => {
    const { image } = rest as { image?: unknown }
    if (latents && image) return { at: 'latents', message: 'leave out either image or latents' }
    if (strength !== undefined && image === undefined && latents === undefined)
      return { at: 'strength', message: 'says how much of a picture is painted anew: give that picture as image' }
    return undefined
  },
  lines: {
    strength: {
      label: 'Denoising strength',
      // Of a picture in two goes it is the second one's.
      read: (text, lines) => (lines['Hires upscale'] === undefined ? Number(text) : undefined),
    },
  },
})
