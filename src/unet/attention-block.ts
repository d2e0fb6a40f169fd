import { pointwise } from '../nn/conv.js'
import { zeros } from '../nn/initialisers.js'
import { groupNorm } from '../nn/norm.js'
import { attention } from '../tensor/attention.js'
import { add } from '../tensor/binary.js'
import type { Scope } from '../tensor/program.js'
import { reshape, transpose } from '../tensor/reshape.js'
import { split } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import type { Attend } from './changes.js'

export interface AttentionBlockOptions {
  heads: number
  /** Channels are q, k, v, each of all heads (QKVAttention); otherwise each head's q, k, v (QKVAttentionLegacy). */
  newOrder: boolean
  /** Attention between its projections. */
  attend?: Attend | undefined
}

/** Self-attention of positions, added to x [batch, c, h, w]. Source: openaimodel.py, AttentionBlock. */
export function attentionBlock(
  at: Scope,
  x: Tensor,
  { heads, newOrder, attend = attention }: AttentionBlockOptions,
): Tensor {
  const [batch, channels, height, width] = x.shape as [number, number, number, number]
  if (channels % heads !== 0) {
    throw new RangeError(`attention at "${at.path}": ${channels} channels do not divide into ${heads} heads`)
  }
  const length = height * width
  const d = channels / heads
  const qkv = pointwise(at('qkv'), groupNorm(at('norm'), x), { out: 3 * channels })
  const parts = newOrder
    ? split(reshape(qkv, [batch, 3 * heads, d, length]), 3, { axis: 1 })
    : split(reshape(qkv, [batch, heads, 3 * d, length]), 3, { axis: 2 })
  const [q, k, v] = parts.map(part => transpose(part)) as [Tensor, Tensor, Tensor]
  const h = reshape(transpose(attend(q, k, v)), x.shape)
  return add(x, pointwise(at('proj_out'), h, { out: channels, init: zeros }))
}
