import { fromTokens, multiHeadAttention, toTokens } from '../nn/attention.js'
import { conv2d } from '../nn/conv.js'
import { zeros } from '../nn/initialisers.js'
import { linear, linearInParts } from '../nn/linear.js'
import { groupNorm, layerNorm } from '../nn/norm.js'
import { gelu } from '../tensor/activation.js'
import { attention } from '../tensor/attention.js'
import { add, mul } from '../tensor/binary.js'
import type { Scope } from '../tensor/program.js'
import type { Tensor } from '../tensor/tensor.js'
import { type Attend, type AttentionPlace, changed, type UnetChange, type UnetPlace } from './changes.js'

export interface TransformerOptions {
  heads: number
  headChannels: number
  /** Number of blocks. */
  depth: number
  /** Width of the context; without one the cross-attention is a second self-attention. */
  contextDim: number | undefined
  /** The first attention looks at the context as well. */
  disableSelfAttention: boolean
  /** proj_in and proj_out are linear layers over tokens, else 1x1 convolutions before and after. */
  linearProjections: boolean
  /** Where the transformer stands and what is changed there. */
  place: UnetPlace
  changes: readonly UnetChange[]
}

/** Transformer over positions, added to x [batch, c, h, w]; context [batch, tokens, contextDim]. Source: attention.py, SpatialTransformer. */
export function spatialTransformer(
  at: Scope,
  x: Tensor,
  context: Tensor | undefined,
  options: TransformerOptions,
): Tensor {
  const { heads, headChannels, depth, contextDim, linearProjections } = options
  const given = contextDim === undefined ? undefined : context
  if (given?.shape.at(-1) !== contextDim) {
    throw new RangeError(
      `transformer at "${at.path}": the context is ${given?.shape.at(-1) ?? 'missing'}, wanted tokens of width ${contextDim} (context_dim)`,
    )
  }
  const channels = x.shape[1]!
  const inner = heads * headChannels
  const normal = groupNorm(at('norm'), x, { epsilon: 1e-6 })
  let h = linearProjections
    ? linear(at('proj_in'), toTokens(normal), { out: inner })
    : toTokens(conv2d(at('proj_in'), normal, { out: inner, kernel: 1 }))
  for (let i = 0; i < depth; i++) {
    const block = at(`transformer_blocks.${i}`)
    const place = { ...options.place, path: block.path, size: [x.shape[2]!, x.shape[3]!] as const }
    const plain = (h: Tensor) => transformerBlock(block, h, given, place, options)
    h = changed(options.changes, 'layer', place, plain)(h)
  }
  h = linearProjections
    ? fromTokens(linear(at('proj_out'), h, { out: channels, init: zeros }), x)
    : conv2d(at('proj_out'), fromTokens(h, x), { out: channels, kernel: 1, init: zeros })
  return add(h, x)
}

/** Self-attention, cross-attention and feed-forward, each added to its input. Source: attention.py, BasicTransformerBlock. */
function transformerBlock(
  at: Scope,
  x: Tensor,
  context: Tensor | undefined,
  place: AttentionPlace,
  options: TransformerOptions,
): Tensor {
  const { changes } = options
  const toSelf = changed(changes, 'attendSelf', place, attention)
  const toContext = changed(changes, 'attendContext', place, attention)
  // Without a context both attentions are to the tokens themselves.
  const first =
    options.disableSelfAttention && context
      ? (x: Tensor) => crossAttention(at('attn1'), x, context, { ...options, attend: toContext })
      : changed(changes, 'selfAttention', place, x => crossAttention(at('attn1'), x, x, { ...options, attend: toSelf }))
  let h = add(first(layerNorm(at('norm1'), x)), x)
  const normal = layerNorm(at('norm2'), h)
  const attend = context ? toContext : toSelf
  h = add(crossAttention(at('attn2'), normal, context ?? normal, { ...options, attend }), h)
  return add(feedForward(at('ff'), layerNorm(at('norm3'), h)), h)
}

/** Attention to a context, which may be x itself. Source: attention.py, CrossAttention. */
function crossAttention(
  at: Scope,
  x: Tensor,
  context: Tensor,
  { heads, headChannels, attend }: Pick<TransformerOptions, 'heads' | 'headChannels'> & { attend: Attend },
): Tensor {
  const inner = heads * headChannels
  const q = linear(at('to_q'), x, { out: inner, bias: false })
  const k = linear(at('to_k'), context, { out: inner, bias: false })
  const v = linear(at('to_v'), context, { out: inner, bias: false })
  return linear(at('to_out.0'), multiHeadAttention(q, k, v, { heads, attend }), { out: x.shape.at(-1)! })
}

/** Two layers, the first gated by gelu in its erf form. Source: attention.py, FeedForward and GEGLU. */
function feedForward(at: Scope, x: Tensor): Tensor {
  const width = x.shape.at(-1)!
  const [h, gate] = linearInParts(at('net.0.proj'), x, { out: 8 * width, parts: 2 }) as [Tensor, Tensor]
  return linear(at('net.2'), mul(h, gelu(gate)), { out: width })
}
