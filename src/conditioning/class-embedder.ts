import { z } from 'zod'
import { embedding } from '../nn/embedding.js'
import type { Scope } from '../tensor/program.js'
import { unsqueeze } from '../tensor/reshape.js'
import type { Tensor } from '../tensor/tensor.js'

/** Classes as context. Source: ldm/modules/encoders/modules.py, ClassEmbedder. */
export const classEmbedderConfig = z.strictObject({
  embed_dim: z.int().positive(),
  n_classes: z.int().positive().default(1000).describe('with one more than there are, for the class that means none'),
})

export type ClassEmbedderConfig = z.infer<typeof classEmbedderConfig>

/** Labels i64 [batch] -> a context of one token, [batch, 1, embed_dim]. */
export const classEmbedder = (at: Scope, { embed_dim, n_classes }: ClassEmbedderConfig, labels: Tensor): Tensor =>
  unsqueeze(embedding(at('embedding'), labels, { count: n_classes, width: embed_dim }), 1)
