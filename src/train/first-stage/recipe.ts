import { z } from 'zod'
import { autoencoderConfig, downsamplingFactor, hasCodebook, vqConfig } from '../../autoencoder/config.js'
import { dataSettings } from '../data-settings.js'
import { stageFigureSettings } from '../figures.js'
import { trainingSettings } from '../settings.js'
import { codebookSettings, firstStageLoss } from './loss.js'

/** How a first stage is trained: `latentkit train autoencoder RECIPE.yaml`. */
export const autoencoderRecipe = z
  .strictObject({
    data: dataSettings,
    first_stage_config: z.union([autoencoderConfig, vqConfig]),
    crop: z
      .int()
      .positive()
      .optional()
      .describe('train on random squares of this size, or shapes of their area: the network is convolutional'),
    loss: firstStageLoss.prefault({}),
    codebook: codebookSettings.optional().describe('how codes are kept in use, and learn besides by gradients'),
    lr_g_factor: z.number().positive().default(1).describe("the autoencoder's learning rate over the discriminator's"),
    evaluate: stageFigureSettings.optional(),
    training: trainingSettings,
  })
  .superRefine(({ data, crop, codebook, first_stage_config: stage }, { addIssue }) => {
    const f = downsamplingFactor(stage.ddconfig)
    const problem = (path: string[], message: string) => addIssue({ code: 'custom', path, message })
    const { step } = data.buckets ?? { step: f }
    if (step % f !== 0) problem(['data', 'buckets', 'step'], `the first stage shrinks by ${f}: use a multiple of it`)
    if (data.size % f !== 0) problem(['data', 'size'], `the first stage shrinks by ${f}: use a multiple of it`)
    if (crop !== undefined && (crop % f !== 0 || crop % step !== 0 || crop > data.size))
      problem(['crop'], `wanted a multiple of ${step} that is at most data.size, ${data.size}`)
    if (codebook && !hasCodebook(stage))
      problem(['codebook'], 'the first stage has none: it goes with first_stage_config.n_embed')
  })
/** A checked recipe of a first stage, defaults filled in. */
export type AutoencoderRecipe = z.infer<typeof autoencoderRecipe>
