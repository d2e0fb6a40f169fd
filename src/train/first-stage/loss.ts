import { z } from 'zod'
import { adversarialLosses } from '../../losses/adversarial.js'
import { lpipsNetworks } from '../../perceptual/lpips.js'

const count = z.int().positive()
const weight = z.number().min(0)

/** What a first stage minimises, in the words of CompVis' `lossconfig` where they have one. */
export const firstStageLoss = z
  .strictObject({
    reduction: z
      .enum(['mean', 'sum'])
      .default('mean')
      .describe('sum: over the elements of a sample, as the original has it with KL; its weights are then other ones'),
    pixel_loss: z.enum(['l1', 'l2']).default('l1'),
    perceptual_weight: weight.default(0.25),
    perceptual_loss: z
      .enum(['squeezenet', ...lpipsNetworks])
      .default('squeezenet')
      .describe('squeezenet: bundled, its features unweighted; the others: LPIPS with that network'),
    perceptual_weights: z
      .array(z.string().min(1))
      .default([])
      .describe("files of LPIPS' network and heads as published, seen from the recipe"),
    kl_weight: weight.default(1e-4),
    codebook_weight: weight.default(1),
    logvar_init: z.number().default(0).describe('log variance of the reconstruction error'),
    learn_logvar: z.boolean().default(false).describe('train it; in the original it is a parameter of no optimiser'),
    disc_start: z
      .int()
      .nonnegative()
      .optional()
      .describe('step from which a discriminator takes part; none by default'),
    disc_factor: weight.default(1),
    disc_weight: weight.default(1).describe('of the adversarial gradient, against that of the likelihood'),
    disc_loss: z.enum(adversarialLosses).default('hinge'),
    disc_num_layers: count.max(8).default(3).describe('layers that halve the size'),
    disc_ndf: count.default(64).describe('channels of its first layer'),
    use_actnorm: z.boolean().default(false).describe('ActNorm in place of batch norm'),
  })
  .refine(({ perceptual_loss, perceptual_weight, perceptual_weights }) => {
    const needed = perceptual_loss !== 'squeezenet' && perceptual_weight > 0
    return needed === perceptual_weights.length > 0
  }, 'perceptual_weights go with LPIPS, and LPIPS only with them: name the files of its network and heads')
export type FirstStageLoss = z.infer<typeof firstStageLoss>

/** How a codebook learns besides by gradients. */
export const codebookSettings = z.strictObject({
  ema: z
    .strictObject({
      decay: z.number().min(0).lt(1).default(0.99),
      epsilon: z.number().positive().default(1e-5).describe('keeps codes that are hardly used from running away'),
    })
    .optional()
    .describe('codes are running means of the latents that chose them, not trained by gradients'),
  revive_after: count
    .optional()
    .describe('steps after which a code that nothing chose is put where a latent of the batch is'),
})
export type CodebookSettings = z.infer<typeof codebookSettings>
