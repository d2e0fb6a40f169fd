import { z } from 'zod'
import { autoencoderConfig, downsamplingFactor } from '../autoencoder/config.js'
import { dataSettings } from './data-settings.js'
import { trainingSettings } from './settings.js'

/** How a first stage is trained: `latentkit train autoencoder RECIPE.yaml`. */
export const autoencoderRecipe = z
  .strictObject({
    data: dataSettings,
    first_stage_config: autoencoderConfig,
    crop: z.int().positive().optional().describe('train on random squares of this size: the network is convolutional'),
    loss: z
      .strictObject({
        perceptual_weight: z.number().min(0).default(0.25),
        kl_weight: z.number().min(0).default(1e-4),
      })
      .prefault({}),
    training: trainingSettings,
  })
  .superRefine(({ data, crop, first_stage_config: { ddconfig } }, { addIssue }) => {
    const f = downsamplingFactor(ddconfig)
    const problem = (path: string[], message: string) => addIssue({ code: 'custom', path, message })
    if (data.size % f !== 0) problem(['data', 'size'], `the first stage shrinks by ${f}: use a multiple of it`)
    if (crop !== undefined && (crop % f !== 0 || crop > data.size))
      problem(['crop'], `wanted a multiple of ${f} that is at most data.size, ${data.size}`)
  })
/** A checked recipe of a first stage, defaults filled in. */
export type AutoencoderRecipe = z.infer<typeof autoencoderRecipe>
