import { z } from 'zod'
import { pictureSetting, task } from './task.js'

/**
 * Paints variations: of the picture of a seed, by turning its noise a little; or of a picture of one's own, from which
 * each starts with other noise.
 *
 * @throws SchemaError for settings that are unknown or out of range, LatentkitError where the model cannot follow them.
 * @example
 * for await (const event of variations(model, 'red heart', { seed: 7, count: 4 })) …
 */
export const variations = task({
  summary: 'Paint variations of a picture, or of the picture that a seed makes',
  shape: {
    image: pictureSetting('a picture to vary, instead of that of the seed').optional(),
    variationStrength: z
      .number()
      .min(0)
      .max(1)
      .default(0.2)
      .describe('how far from the picture of the seed: 0 not at all, 1 altogether another'),
    strength: z.number().positive().max(1).default(0.5).describe('how much of a picture is painted anew'),
    count: z.int().positive().max(100_000).default(4).meta({ short: 'n' }).describe('how many pictures'),
  },
  examples: [
    { line: 'latentkit variations "red heart" --seed 7', what: 'four pictures that are near to the one of seed 7' },
    {
      line: 'latentkit variations "red heart" --image heart.png --strength 0.4',
      what: 'four that are near to heart.png',
    },
  ],
  start: (model, prompt, { image, variationStrength, strength, count }, options) =>
    model.generate(prompt, {
      ...options,
      count,
      ...(image ? { image, strength } : { variationStrength }),
    }),
})
