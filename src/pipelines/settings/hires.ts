import { z } from 'zod'
import { settingsGroup } from './group.js'

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
  lines: {
    hires: { label: 'Hires upscale', read: Number },
    hiresBy: {
      label: 'Hires upscaler',
      beside: 'hires',
      show: by => labels[by],
      read: text => (Object.keys(labels) as By[]).find(by => labels[by] === text),
    },
    // A1111 writes 0 for as many as before.
    hiresSteps: { label: 'Hires steps', beside: 'hires', read: text => Number(text) || undefined },
    hiresStrength: {
      label: 'Denoising strength',
      beside: 'hires',
      read: (text, lines) => (lines['Hires upscale'] === undefined ? undefined : Number(text)),
    },
  },
})
