import { type AttentionOptions, attention } from '../tensor/attention.js'
import { reshape, transpose } from '../tensor/reshape.js'
import type { Tensor } from '../tensor/tensor.js'

/** [batch, length, heads * d] -> [batch, heads, length, d]. */
export function splitHeads(x: Tensor, heads: number): Tensor {
  const [batch, length, width] = x.shape as [number, number, number]
  if (width % heads !== 0) throw new RangeError(`attention: width ${width} does not divide into ${heads} heads`)
  return transpose(reshape(x, [batch, length, heads, width / heads]), [0, 2, 1, 3])
}

/** [batch, heads, length, d] -> [batch, length, heads * d]. */
export function mergeHeads(x: Tensor): Tensor {
  const [batch, heads, length, d] = x.shape as [number, number, number, number]
  return reshape(transpose(x, [0, 2, 1, 3]), [batch, length, heads * d])
}

export interface MultiHeadOptions extends AttentionOptions {
  heads: number
  /** Stands in for attention of q, k and v [batch, heads, tokens, d]. */
  attend?: ((q: Tensor, k: Tensor, v: Tensor) => Tensor) | undefined
}

/** Attention of several heads over tokens: q [batch, length, heads * d], k and v [batch, tokens, heads * d]. */
export const multiHeadAttention = (
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { heads, attend, ...options }: MultiHeadOptions,
): Tensor => {
  const all = [q, k, v].map(x => splitHeads(x, heads)) as [Tensor, Tensor, Tensor]
  return mergeHeads(attend ? attend(...all) : attention(...all, options))
}

/** Positions as tokens: [batch, channels, h, w] -> [batch, h * w, channels]. */
export function toTokens(x: Tensor): Tensor {
  const [batch, channels, height, width] = x.shape as [number, number, number, number]
  return transpose(reshape(x, [batch, channels, height * width]))
}

/** Tokens back at their places: [batch, h * w, channels] -> [batch, channels, h, w], with h and w those of `like`. */
export function fromTokens(x: Tensor, like: Tensor): Tensor {
  const [batch, , channels] = x.shape as [number, number, number]
  return reshape(transpose(x), [batch, channels, ...like.shape.slice(2)])
}
