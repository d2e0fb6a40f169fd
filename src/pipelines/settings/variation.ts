import { z } from 'zod'
import { settingsGroup } from './group.js'
import { seed } from './pictures.js'

/** Pictures near to that of a seed, as A1111 has them. */
export const variation = settingsGroup({
  shape: {
    variationStrength: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe("how far the noise of the seed is turned into that of the variation's: 0 not at all, 1 altogether"),
    variationSeed: seed
      .optional()
      .describe(
        'of the first variation, the next ones count on from it while the seed stays; drawn by chance if not given',
      ),
  },
  check: ({ variationStrength, variationSeed }) =>
    variationSeed !== undefined && variationStrength === 0
      ? { at: 'variationSeed', message: 'changes nothing without variationStrength; give both' }
      : undefined,
  lines: {
    variationSeed: { label: 'Variation seed', beside: 'variationStrength', read: Number },
    variationStrength: { label: 'Variation seed strength', read: Number },
  },
})
