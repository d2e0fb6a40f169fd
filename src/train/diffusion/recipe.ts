import { z } from 'zod'
import { type ConditioningName, conditioningRecipe, conditionings } from '../../conditioning/index.js'
import { diffusionConfig } from '../../pipelines/model-config.js'
import { unetConfig } from '../../unet/config.js'
import { dataSettings } from '../data-settings.js'
import { figureSettings } from '../figures.js'
import { trainingSettings } from '../settings.js'

/** What is minimised, in the words of CompVis/latent-diffusion, ddpm.py, where it has some. */
const diffusionLossSettings = z.strictObject({
  type: z.enum(['l2', 'l1']).default('l2'),
  min_snr_gamma: z.number().positive().optional().describe('caps the weight of easy times; 5 in the paper'),
  simple_weight: z.number().min(0).default(1).describe('of the loss itself (l_simple_weight)'),
  elbo_weight: z.number().min(0).default(0).describe('of the variational bound beside it (original_elbo_weight)'),
  learn_logvar: z.boolean().default(false).describe("learns each time's log variance of the errors and divides by it"),
  logvar_init: z.number().default(0).describe('where learned log variances start'),
  offset_noise: z
    .number()
    .min(0)
    .default(0)
    .describe('share of noise that is the same all over a channel; 0.1 is usual'),
})
/** What is minimised, defaults filled in. */
export type DiffusionLossSettings = z.infer<typeof diffusionLossSettings>

/** How a diffusion model is trained in the latents of a first stage: `latentkit train diffusion RECIPE.yaml`. */
export const diffusionRecipe = z
  .strictObject({
    data: dataSettings,
    first_stage: z
      .string()
      .min(1)
      .optional()
      .describe('checkpoint of the first stage, seen from the recipe; without one the model works on pixels (f = 1)'),
    unet_config: unetConfig,
    conditioning: conditioningRecipe.optional().describe('what the model is conditioned on, each by its name'),
    condition_dropout: z
      .number()
      .min(0)
      .max(1)
      .default(0.1)
      .describe('share of the samples that are trained without conditions, so that guidance can lead away from that'),
    frozen_embedders: z
      .partialRecord(z.enum(Object.keys(conditionings) as [ConditioningName, ...ConditioningName[]]), z.string().min(1))
      .default({})
      .describe('embedders that are not trained along: the file of the weights of each, seen from the recipe'),
    scale_factor: z
      .union([z.enum(['per_channel', 'by_std']), z.number().positive()])
      .default('per_channel')
      .describe(
        'what brings latents to a deviation of 1: a mean and a factor for each channel, one factor for all, or a given one',
      ),
    diffusion: diffusionConfig.prefault({}),
    loss: diffusionLossSettings.prefault({}),
    samples: z
      .strictObject({
        prompts: z
          .array(z.string())
          .min(1)
          .max(64)
          .optional()
          .describe('for models of text; otherwise, and for other conditions, those of held-out pictures serve'),
        count: z.int().positive().max(64).default(8).describe('pictures, where no prompts say how many'),
        steps: z.int().positive().default(20),
        guidance: z.number().min(0).default(3),
      })
      .prefault({}),
    evaluate: figureSettings.optional(),
    training: trainingSettings,
  })
  .superRefine(({ loss, diffusion, samples, conditioning }, { addIssue }) => {
    const problem = (path: string[], message: string) => addIssue({ code: 'custom', path, message })
    const special =
      diffusion.parameterization === 'flow' ? 'a flow' : diffusion.zero_terminal_snr && 'zero_terminal_snr'
    if (diffusion.parameterization === 'flow' && loss.min_snr_gamma !== undefined)
      problem(['loss', 'min_snr_gamma'], 'is a weight for noise, images or v: a flow has none')
    if (special && loss.elbo_weight > 0)
      problem(['loss', 'elbo_weight'], `the bound is that of a schedule that ends with some signal: not for ${special}`)
    if (samples.prompts && !conditioning?.text && !conditioning?.clip_text)
      problem(['samples', 'prompts'], 'the model takes no text')
  })
/** A checked recipe of a diffusion model, defaults filled in. */
export type DiffusionRecipe = z.infer<typeof diffusionRecipe>
