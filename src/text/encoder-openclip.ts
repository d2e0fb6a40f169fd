import { z } from 'zod'
import { embedding } from '../nn/embedding.js'
import { normal } from '../nn/initialisers.js'
import { layerNorm } from '../nn/norm.js'
import { add } from '../tensor/binary.js'
import { matmul } from '../tensor/matmul.js'
import type { Scope } from '../tensor/program.js'
import { slice } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import { clipLayers } from './clip-layers.js'
import { atEndOfText } from './encoder-clip.js'

const count = z.int().positive()

/** The text half of a CLIP in the words of openai/CLIP's constructor; `activation` is quick_gelu there, gelu in OpenCLIP. */
export const openClipTextConfig = z.object({
  embed_dim: count.describe('width of the space that texts and images share'),
  context_length: count.default(77),
  vocab_size: count,
  width: count,
  heads: count,
  layers: count,
  activation: z.enum(['quick_gelu', 'gelu']).default('gelu'),
})

export type OpenClipTextConfig = z.infer<typeof openClipTextConfig>

export interface OpenClipText {
  /** After the last layer and the final normalisation, [batch, length, width]. */
  last: Tensor
  /** Hidden states before the first layer and after each, without the final normalisation. */
  hidden: readonly Tensor[]
}

/**
 * OpenCLIP's text transformer by the names of its checkpoints (and of openai/CLIP's): token ids i64 [batch, length].
 * Source: openai/CLIP, clip/model.py, encode_text; stablediffusion, encoders/modules.py, FrozenOpenCLIPEmbedder.
 */
export function openClipText(at: Scope, config: OpenClipTextConfig, tokens: Tensor): OpenClipText {
  const { width, heads, layers, activation, context_length, vocab_size } = config
  const length = tokens.shape[1]!
  if (tokens.shape.length !== 2 || length > context_length) {
    throw new RangeError(
      `OpenCLIP text encoder: tokens have shape [${tokens.shape.join(', ')}], wanted [batch, at most ${context_length}]`,
    )
  }
  const positions = at.parameter('positional_embedding', [context_length, width], normal(0.01))
  const words = embedding(at('token_embedding'), tokens, { count: vocab_size, width, init: normal(0.02) })
  const x = add(words, slice(positions, { axis: 0, start: 0, end: length }))
  const options = { layers, heads, inner: 4 * width, activation, causal: true, names: 'openai' } as const
  const hidden = clipLayers(at('transformer'), x, options)
  return { last: openClipNorm(at, hidden.at(-1)!), hidden }
}

/** The final normalisation, for a hidden state other than the last: the one before it is Stable Diffusion 2's context. */
export const openClipNorm = (at: Scope, hidden: Tensor): Tensor => layerNorm(at('ln_final'), hidden)

/** `last` at the largest token, in the space shared with images: [batch, embed_dim]. Source: clip/model.py, encode_text. */
export const openClipEmbedding = (
  at: Scope,
  { width, embed_dim, vocab_size }: Pick<OpenClipTextConfig, 'width' | 'embed_dim' | 'vocab_size'>,
  last: Tensor,
  tokens: Tensor,
): Tensor =>
  matmul(
    atEndOfText(last, tokens, { eos: 2, vocabulary: vocab_size }),
    at.parameter('text_projection', [width, embed_dim], normal(width ** -0.5)),
  )
