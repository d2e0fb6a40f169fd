import { fromTokens, toTokens } from '../nn/attention.js'
import { conv2d } from '../nn/conv.js'
import type { Dropout } from '../nn/dropout.js'
import { groupNorm } from '../nn/norm.js'
import { silu } from '../tensor/activation.js'
import { attention } from '../tensor/attention.js'
import { add } from '../tensor/binary.js'
import { matmul } from '../tensor/matmul.js'
import { softmax } from '../tensor/normalize.js'
import { averagePool2d } from '../tensor/pool.js'
import type { Scope } from '../tensor/program.js'
import { reshape, transpose, unsqueeze } from '../tensor/reshape.js'
import { resizeNearest } from '../tensor/resize.js'
import { split } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import type { DdConfig } from './config.js'

/** Normalisation of groups of channels with the autoencoder's epsilon. Source: model.py, Normalize. */
export const normalize = (at: Scope, x: Tensor, groups: number): Tensor => groupNorm(at, x, { groups, epsilon: 1e-6 })

/** Residual block [batch, c, h, w] -> [batch, out, h, w]. Source: model.py, ResnetBlock, without a time. */
export function resnetBlock(
  at: Scope,
  x: Tensor,
  { out, groups, dropout }: { out: number; groups: number; dropout?: Dropout | undefined },
): Tensor {
  let h = conv2d(at('conv1'), silu(normalize(at('norm1'), x, groups)), { out, kernel: 3 })
  h = silu(normalize(at('norm2'), h, groups))
  if (dropout) h = dropout(at('dropout'), h)
  h = conv2d(at('conv2'), h, { out, kernel: 3 })
  return add(x.shape[1] === out ? x : conv2d(at('nin_shortcut'), x, { out, kernel: 1 }), h)
}

/** The attention that attn_type names, of positions to one another. Source: model.py, make_attn. */
export function attend(at: Scope, x: Tensor, { attn_type, num_groups }: DdConfig): Tensor {
  if (attn_type === 'none') return x
  return attn_type === 'linear' ? linearAttention(at, x) : attentionBlock(at, x, num_groups)
}

/** One head over all channels, projected by 1x1 convolutions. Source: model.py, AttnBlock. */
function attentionBlock(at: Scope, x: Tensor, groups: number): Tensor {
  const out = x.shape[1]!
  const normal = normalize(at('norm'), x, groups)
  const tokens = (name: string) => unsqueeze(toTokens(conv2d(at(name), normal, { out, kernel: 1 })), 1)
  const h = attention(tokens('q'), tokens('k'), tokens('v'))
  const [batch, , length, channels] = h.shape as [number, number, number, number]
  const positions = fromTokens(reshape(h, [batch, length, channels]), x)
  return add(x, conv2d(at('proj_out'), positions, { out, kernel: 1 }))
}

/** Softmax over the keys alone, so cost grows with positions, not their square; nothing is added to x. Source: attention.py, LinearAttention. */
function linearAttention(at: Scope, x: Tensor): Tensor {
  const [batch, channels, height, width] = x.shape as [number, number, number, number]
  const qkv = conv2d(at('to_qkv'), x, { out: 3 * channels, kernel: 1, bias: false })
  const [q, k, v] = split(reshape(qkv, [batch, 3 * channels, height * width]), 3, { axis: 1 }) as [
    Tensor,
    Tensor,
    Tensor,
  ]
  const summary = matmul(v, transpose(softmax(k)))
  return conv2d(at('to_out'), reshape(matmul(summary, q), x.shape), { out: channels, kernel: 1 })
}

/** Half the size; the convolution pads right and below only. Source: model.py, Downsample. */
export const downsample = (at: Scope, x: Tensor, withConv: boolean): Tensor =>
  withConv
    ? conv2d(at('conv'), x, { out: x.shape[1]!, kernel: 3, stride: 2, padding: [0, 0, 1, 1] })
    : averagePool2d(x, { kernel: 2, stride: 2 })

/** Twice the size, each position copied, then a convolution. Source: model.py, Upsample. */
export function upsample(at: Scope, x: Tensor, withConv: boolean): Tensor {
  const larger = resizeNearest(x, [2 * x.shape[2]!, 2 * x.shape[3]!])
  return withConv ? conv2d(at('conv'), larger, { out: x.shape[1]!, kernel: 3 }) : larger
}
