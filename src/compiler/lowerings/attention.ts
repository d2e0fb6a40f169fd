import { type AttentionAttributes, attentionBySoftmax } from '../../tensor/attention.js'
import { evaluate } from '../../tensor/evaluate.js'
import { reshape, transpose } from '../../tensor/reshape.js'
import { apply, input, type Operation, type Tensor } from '../../tensor/tensor.js'
import type { Lowering } from '../lowering.js'

/** Attention of q [batch, queries, heads * size] to k and v [batch, keys, heads * size], the heads side by side. */
const multiHeadAttention: Operation<{ heads: number; scale: number }> = {
  name: 'multiHeadAttention',
  infer: ([q]) => ({ shape: q!.shape, dtype: q!.dtype }),
  evaluate: (values, { heads, scale }) => {
    const names = ['q', 'k', 'v']
    const [q, k, v] = values.map(({ shape }, i) =>
      apart(apply(input, [], { name: names[i]!, shape, dtype: 'f32' }), heads),
    ) as [Tensor, Tensor, Tensor]
    const result = sideBySide(attentionBySoftmax(q, k, v, undefined, { scale, causal: false, additive: false }))
    return evaluate([result], Object.fromEntries(values.map((value, i) => [names[i]!, value])))[0]!.data
  },
  emit: (to, inputs, { attributes: { heads, scale } }) =>
    to.node('MultiHeadAttention', inputs, { num_heads: heads, scale: { float: scale } }, { domain: 'com.microsoft' }),
}

/** [batch, length, heads * size] -> [batch, heads, length, size]. */
function apart(t: Tensor, heads: number): Tensor {
  const [batch, length, width] = t.shape as [number, number, number]
  return transpose(reshape(t, [batch, length, heads, width / heads]), [0, 2, 1, 3])
}

/** [batch, heads, length, size] -> [batch, length, heads * size]. */
function sideBySide(t: Tensor): Tensor {
  const [batch, heads, length, size] = t.shape as [number, number, number, number]
  return reshape(transpose(t, [0, 2, 1, 3]), [batch, length, heads * size])
}

export const attentionLowerings: readonly Lowering[] = [
  /** Two products and a softmax, seen by the compiler, so that the turning of q, k and v costs one copy each or none. */
  {
    op: 'attention',
    name: 'products',
    fits: (_, { training }) => training,
    rewrite: ({ inputs, attributes }) => {
      const [q, k, v, mask] = inputs as [Tensor, Tensor, Tensor, Tensor?]
      return attentionBySoftmax(q, k, v, mask, attributes as AttentionAttributes)
    },
  },
  /** The runtime's own operator, which goes through the scores in blocks and never holds all of them. */
  {
    op: 'attention',
    name: 'fused',
    fits: ({ inputs, shape, dtype, attributes }, { device, training, contrib }) =>
      contrib &&
      !training &&
      device !== 'webgpu' &&
      dtype === 'f32' &&
      shape.length === 4 &&
      inputs.length === 3 &&
      !attributes.causal &&
      inputs[2]!.shape.at(-1) === inputs[0]!.shape.at(-1),
    rewrite: ({ inputs, shape, attributes }) => {
      const { scale } = attributes as AttentionAttributes
      const heads = shape[1]!
      return apart(apply(multiHeadAttention, inputs.map(sideBySide), { heads, scale }), heads)
    },
  },
]
