import { type AttentionAttributes, attentionBySoftmax } from '../../tensor/attention.js'
import type { Tensor } from '../../tensor/tensor.js'
import type { Lowering } from '../lowering.js'

/** Two products and a softmax, seen by the compiler, so that the turning of q, k and v costs one copy each or none. */
export const attentionLowerings: readonly Lowering[] = [
  {
    op: 'attention',
    name: 'products',
    fits: (_, { training }) => training,
    rewrite: ({ inputs, attributes }) => {
      const [q, k, v, mask] = inputs as [Tensor, Tensor, Tensor, Tensor?]
      return attentionBySoftmax(q, k, v, mask, attributes as AttentionAttributes)
    },
  },
]
