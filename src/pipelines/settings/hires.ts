import { z } from 'zod'
import { numberOf, settingsGroup } from './group.js'

/** A1111's names of the two ways. */
const labels = { latents: 'Latent', pixels: 'Lanczos' } as const
type By = keyof typeof labels

/** Large pictures in two goes: small ones that hold together, made larger and painted over. */
export const hires = settingsGroup({
  shape: {
    hires: z
      .number()
      .gt(1)
      .max(8)
      .optional()
      .describe('paint at width and height first, then this many times larger over it'),
    hiresBy: z
      .enum(['latents', 'pixels'])
      .default('pixels')
      .describe('what is made larger: pixels stay sharp, latents need more strength'),
    hiresStrength: z
      .number()
      .positive()
      .max(1)
      .optional()
      .describe('how much of the larger picture is painted anew (default 0.5; by latents 0.7)'),
    hiresSteps: z.int().positive().optional().describe('steps of the larger picture (default those of the small one)'),
  },
  show: ({ hires, hiresBy, hiresStrength, hiresSteps }) =>
    hires === undefined
      ? {}
      : {
          'Hires upscale': hires,
          'Hires upscaler': labels[hiresBy],
          'Hires steps': hiresSteps,
          'Denoising strength': hiresStrength,
        },
  read: lines => ({
    hires: numberOf(lines['Hires upscale']),
    hiresBy: (Object.keys(labels) as By[]).find(by => labels[by] === lines['Hires upscaler']),
    hiresSteps: numberOf(lines['Hires steps']) || undefined,
    ...(lines['Hires upscale'] !== undefined && { hiresStrength: numberOf(lines['Denoising strength']) }),
  }),
})
