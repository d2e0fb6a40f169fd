import { z } from 'zod'
import { numberOf, settingsGroup } from './group.js'

/** Pictures between two prompts. */
export const mix = settingsGroup({
  shape: {
    toPrompt: z.string().optional().describe('a second prompt: what the network is told lies between both'),
    toShare: z.number().min(0).max(1).default(0.5).describe('how far towards the second prompt'),
  },
  show: ({ toPrompt, toShare }) => (toPrompt === undefined ? {} : { 'To prompt': toPrompt, 'To share': toShare }),
  read: lines => ({ toPrompt: lines['To prompt'], toShare: numberOf(lines['To share']) }),
})
