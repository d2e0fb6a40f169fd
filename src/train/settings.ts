import { z } from 'zod'

const count = z.int().positive()

/** How a network is trained, whatever it is. */
export const trainingSettings = z
  .strictObject({
    seed: z.int().nonnegative().default(0).describe('of the first weights, the order of the data and all noise'),
    steps: count.describe('updates of the weights in all'),
    batch: count.describe('samples that are computed at once'),
    accumulate: count.default(1).describe('batches whose gradients are averaged into one update'),
    learning_rate: z.number().positive().describe('after the warm-up'),
    warm_up: z.int().nonnegative().default(0).describe('steps over which the learning rate rises from 0'),
    decay: z.enum(['constant', 'cosine']).default('constant').describe('what the learning rate does after the warm-up'),
    final_rate: z.number().min(0).max(1).default(0).describe('fraction of the learning rate at which a cosine ends'),
    betas: z
      .tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)])
      .default([0.9, 0.999])
      .describe('of AdamW'),
    epsilon: z.number().positive().default(1e-8).describe('of AdamW'),
    weight_decay: z.number().min(0).default(0.01).describe('of AdamW'),
    clip: z.number().positive().optional().describe('largest norm of all gradients together'),
    ema: z
      .strictObject({
        decay: z.number().min(0).lt(1).default(0.9999),
        warm_up: z.boolean().default(true).describe('min(decay, (1 + n) / (10 + n)) after n updates'),
      })
      .optional()
      .describe('an average of the weights, which is then what is evaluated and used'),
    checkpoint: z
      .boolean()
      .default(false)
      .describe('computes the activations of a block anew in the backward pass: less memory for a third more time'),
    precision: z
      .enum(['f32', 'mixed'])
      .default('f32')
      .describe('mixed: products in float16, where a graphics card is faster so; weights and all else stay float32'),
    evaluate_every: count.default(500).describe('steps between two losses on held-out data'),
    sample_every: count.default(500).describe('steps between two pictures of where it stands'),
    checkpoint_every: count.default(500).describe('steps between two checkpoints'),
  })
  .refine(({ warm_up, steps }) => warm_up < steps, { path: ['warm_up'], message: 'must be less than steps' })
export type TrainingSettings = z.infer<typeof trainingSettings>
