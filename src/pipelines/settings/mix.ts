import { z } from 'zod'
import { settingsGroup } from './group.js'

/** Pictures between two prompts. */
export const mix = settingsGroup({
  shape: {
    toPrompt: z.string().optional().describe('a second prompt: what the network is told lies between both'),
    toShare: z.number().min(0).max(1).default(0.5).describe('how far towards the second prompt'),
  },
  lines: {
    toPrompt: { label: 'To prompt', read: text => text },
    toShare: { label: 'To share', beside: 'toPrompt', read: Number },
  },
})
