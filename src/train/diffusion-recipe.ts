import { z } from 'zod'
import { diffusionConfig } from '../pipelines/model-config.js'
import { textEncoderConfig } from '../text/encoder.js'
import { unetConfig } from '../unet/config.js'
import { dataSettings } from './data-settings.js'
import { trainingSettings } from './settings.js'

/** How a diffusion model is trained in the latents of a first stage: `latentkit train diffusion RECIPE.yaml`. */
export const diffusionRecipe = z
  .strictObject({
    data: dataSettings,
    first_stage: z.string().min(1).describe('checkpoint of the first stage, seen from the recipe'),
    unet_config: unetConfig,
    cond_stage_config: textEncoderConfig
      .omit({ vocab_size: true })
      .optional()
      .describe('a text encoder that is trained along; without it captions are not used'),
    vocabulary: z
      .int()
      .min(261)
      .default(4096)
      .describe('most tokens of the vocabulary that is learned from the captions'),
    caption_dropout: z
      .number()
      .min(0)
      .max(1)
      .default(0.1)
      .describe('share of the samples that are trained without caption'),
    diffusion: diffusionConfig.prefault({}),
    loss: z
      .strictObject({
        type: z.enum(['l2', 'l1']).default('l2'),
        min_snr_gamma: z.number().positive().optional().describe('caps the weight of easy times; 5 in the paper'),
      })
      .prefault({}),
    samples: z
      .strictObject({
        prompts: z.array(z.string()).min(1).max(64).default(['', '', '', '', '', '', '', '']),
        steps: z.int().positive().default(20),
        guidance: z.number().min(0).default(3),
      })
      .prefault({}),
    training: trainingSettings,
  })
  .superRefine(({ cond_stage_config: text, unet_config: unet }, { addIssue }) => {
    const width = Array.isArray(unet.context_dim) ? unet.context_dim[0] : unet.context_dim
    if ((width ?? undefined) === text?.n_embed) return
    const found = text === undefined ? 'there is no cond_stage_config' : `the text encoder's n_embed is ${text.n_embed}`
    addIssue({ code: 'custom', path: ['unet_config', 'context_dim'], message: found })
  })
/** A checked recipe of a diffusion model, defaults filled in. */
export type DiffusionRecipe = z.infer<typeof diffusionRecipe>
