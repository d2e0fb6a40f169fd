import { z } from 'zod'
import { classifierConfig } from '../../unet/classifier.js'
import { dataSettings } from '../data-settings.js'
import { trainingSettings } from '../settings.js'

/** How a noisy classifier is trained for a diffusion model: `latentkit train classifier RECIPE.yaml`. */
export const classifierRecipe = z.strictObject({
  data: dataSettings,
  model: z
    .string()
    .min(1)
    .describe('checkpoint of the diffusion model that it will guide, seen from the recipe: its latents, its noise'),
  classifier_config: classifierConfig,
  training: trainingSettings,
})
/** A checked recipe of a noisy classifier, defaults filled in. */
export type ClassifierRecipe = z.infer<typeof classifierRecipe>
