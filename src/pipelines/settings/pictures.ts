import { z } from 'zod'
import { settingsGroup } from './group.js'

const count = z.int().positive()
/** As far as whole numbers are exact: torch's generators take 64 bits of a seed, on the processor the low 32 of them. */
export const seed = z.int().min(0)

/** How many pictures, of which seeds and of what size. */
export const pictures = settingsGroup({
  shape: {
    seed: seed
      .optional()
      .describe('of the first picture, the next ones count on from it; drawn by chance if not given'),
    count: count.max(100_000).optional().meta({ short: 'n' }).describe('how many pictures (default 1)'),
    seeds: z.array(seed).min(1).max(100_000).optional().describe('one for each picture, instead of seed and count'),
    batch: count.max(1024).default(8).describe('most pictures that are made at once'),
    width: count.optional().describe('in pixels; by default as in training'),
    height: count.optional().describe('in pixels; by default as in training'),
  },
  check: ({ seed, count, seeds }) =>
    seeds && (seed !== undefined || count !== undefined)
      ? { at: 'seeds', message: 'leave out seed and count where every picture has its own' }
      : undefined,
})
