import { z } from 'zod'
import { type ProfileName, profiles, rulesOf } from '../../samplers/index.js'
import { numberOf, settingsGroup } from './group.js'
import type { GenerateSettings } from './index.js'
import { seed } from './pictures.js'

const count = z.int().positive().max(100_000)
const tool = z.enum(Object.keys(profiles) as [ProfileName, ...ProfileName[]])

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
  show: ({ profile, noiseSource, seedDelta, batchSize, batchPlace }) => ({
    Profile: profile,
    RNG: noiseSource?.toUpperCase(),
    ENSD: seedDelta,
    'Batch size': batchSize,
    'Batch pos': batchPlace,
  }),
  read: lines => {
    const source = lines.RNG === undefined ? undefined : lines.RNG === 'CPU' ? ('cpu' as const) : ('gpu' as const)
    if (lines.Profile === undefined) return { noiseSource: source }
    return {
      profile: tool.parse(lines.Profile),
      noiseSource: source,
      seedDelta: numberOf(lines.ENSD),
      batchSize: numberOf(lines['Batch size']),
      batchPlace: numberOf(lines['Batch pos']),
    }
  },
})

/** Settings with the defaults of the tool whose profile they name; `knows` says whether the model takes a condition. */
export function withProfile(given: GenerateSettings, knows: (condition: string) => boolean): GenerateSettings {
  const name = given.profile
  if (name === undefined || !Object.hasOwn(profiles, name)) return given
  const own = profiles[name]
  const { promptStyle, ...defaults } = own.defaults
  const { sampler = defaults.sampler } = given
  return {
    ...defaults,
    ...(knows('promptStyle') && { promptStyle }),
    schedule: rulesOf(own, sampler).schedule,
    ...(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as GenerateSettings),
  }
}
