import { z } from 'zod'
import { type SamplerName, samplers } from '../../samplers/index.js'
import { numberOf, settingsGroup } from './group.js'

/** The way from noise to a picture. */
export const sampling = settingsGroup({
  shape: {
    steps: z.int().positive().default(20).describe('how often the network is asked'),
    sampler: z
      .enum(Object.keys(samplers) as [SamplerName, ...SamplerName[]])
      .default('ddim')
      .describe('the way from noise to a picture'),
    schedule: z
      .enum(['trailing', 'leading', 'linspace', 'karras', 'exponential'])
      .default('trailing')
      .describe('where the steps lie'),
    eta: z.number().min(0).max(1).optional().describe('share of the noise that the sampler adds anew'),
  },
  show: ({ eta }) => ({ Eta: eta }),
  read: ({ Eta }) => ({ eta: numberOf(Eta) }),
})
