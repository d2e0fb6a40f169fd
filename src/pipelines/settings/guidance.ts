import { z } from 'zod'
import { settingsGroup } from './group.js'

/** How far conditions lead the network, and away from what. */
export const guidance = settingsGroup({
  shape: {
    guidance: z
      .number()
      .min(0)
      .max(1000)
      .default(3)
      .describe('how far prompt, class and the like lead the network; 1 is its plain answer'),
    negativePrompt: z.string().default('').describe('what guidance leads away from'),
  },
})
