import { z } from 'zod'
import { type ProfileName, profiles } from '../../samplers/index.js'
import { settingsGroup } from './group.js'
import type { Lines } from './lines.js'
import { seed } from './pictures.js'

const count = z.int().positive().max(100_000)
const tool = z.enum(Object.keys(profiles) as [ProfileName, ...ProfileName[]])

/** A number, of pictures that say whose way they go: elsewhere a tool's seeds hold what it says of its batch. */
const ours = (text: string, lines: Lines) => (lines.Profile === undefined ? undefined : Number(text))

/** The picture that another tool would make of a seed. */
export const profile = settingsGroup({
  shape: {
    profile: tool
      .optional()
      .describe(
        'make the picture that another tool makes of the seed: its random numbers, steps and conventions, and its ' +
          'defaults where nothing is said',
      ),
    noiseSource: z
      .enum(['cpu', 'gpu'])
      .optional()
      .describe(
        "whose random numbers: torch's on the processor or those of a CUDA device (default as the profile; cpu)",
      ),
    seedDelta: seed.optional().describe("added to the seed for the noise after the start: a1111's ENSD"),
    batchSize: count.optional().describe('how many pictures the tool made at once of one seed; these are some of them'),
    batchPlace: z
      .int()
      .min(0)
      .max(100_000)
      .optional()
      .describe('which of the pictures made at once the first one here is, from 0 on (default 0)'),
  },
  check({ profile, seedDelta, batchSize, batchPlace = 0, ...rest }) {
    const { count = 1 } = rest as { count?: number }
    if (seedDelta !== undefined && profile !== 'a1111')
      return { at: 'seedDelta', message: 'is a setting of the profile a1111 alone; leave it out' }
    if (batchSize === undefined)
      return batchPlace > 0 ? { at: 'batchPlace', message: 'needs batchSize: how many were made at once' } : undefined
    return batchPlace + count > batchSize
      ? { at: 'batchSize', message: `is ${batchSize}: there are no ${count} pictures from place ${batchPlace} on` }
      : undefined
  },
  lines: {
    profile: { label: 'Profile', read: text => tool.parse(text) },
    noiseSource: {
      label: 'RNG',
      show: source => source.toUpperCase(),
      read: text => (text === 'CPU' ? 'cpu' : 'gpu'),
    },
    seedDelta: { label: 'ENSD', read: Number },
    batchSize: { label: 'Batch size', read: ours },
    batchPlace: { label: 'Batch pos', read: ours },
  },
})
