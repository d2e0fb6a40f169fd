import { z } from 'zod'
import { settingsGroup } from './group.js'
import { oneOf } from './lines.js'

const versions = ['1', '2'] as const
const factor = z.number().min(0).max(10)

/** Changes of the UNet itself, and what is saved of its work. */
export const network = settingsGroup({
  shape: {
    freeu: z.enum(versions).optional().describe('balance the way up by FreeU, in its first or second version'),
    freeuB1: factor.default(1.5).describe('FreeU: what the deeper levels carry, times this'),
    freeuB2: factor.default(1.6).describe('FreeU: what the next level carries, times this'),
    freeuS1: factor.default(0.9).describe('FreeU: low frequencies that the deeper levels are joined with, times this'),
    freeuS2: factor.default(0.2).describe('FreeU: low frequencies that the next level is joined with, times this'),
    tokenMerging: z
      .number()
      .min(0)
      .max(0.75)
      .default(0)
      .describe('the share of tokens that are merged before self-attention where there are most of them'),
    deepCache: z
      .int()
      .min(1)
      .default(1)
      .describe('compute the deep blocks only at every Nth step, and reuse what they gave in the steps between'),
    deepCacheOuter: z.int().min(1).default(1).describe('how many blocks at either end are computed at every step'),
  },
  lines: {
    freeu: { label: 'FreeU version', read: oneOf(versions) },
    freeuB1: { label: 'FreeU b1', beside: 'freeu', read: Number },
    freeuB2: { label: 'FreeU b2', beside: 'freeu', read: Number },
    freeuS1: { label: 'FreeU s1', beside: 'freeu', read: Number },
    freeuS2: { label: 'FreeU s2', beside: 'freeu', read: Number },
    tokenMerging: { label: 'Token merging ratio', read: Number },
    deepCache: { label: 'DeepCache interval', read: Number },
    deepCacheOuter: { label: 'DeepCache outer blocks', beside: 'deepCache', read: Number },
  },
})
