import { z } from 'zod'
import { multiHeadAttention } from '../nn/attention.js'
import { embedding } from '../nn/embedding.js'
import { normal } from '../nn/initialisers.js'
import { linear } from '../nn/linear.js'
import { layerNorm } from '../nn/norm.js'
import { gelu } from '../tensor/activation.js'
import { add } from '../tensor/binary.js'
import type { Scope } from '../tensor/program.js'
import { slice } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'

const count = z.int().positive()

/** The transformer that text-to-image LDM trains jointly, in the words of ldm/modules/encoders/modules.py, TransformerEmbedder. */
export const textEncoderConfig = z.strictObject({
  n_embed: count.describe('width of the tokens, and of the context that they become'),
  n_layer: count,
  vocab_size: count,
  max_seq_len: count.default(77),
  heads: count.default(8),
  dim_head: count.default(64).describe('channels of a head'),
})

export type TextEncoderConfig = z.infer<typeof textEncoderConfig>

/**
 * Token ids i64 [batch, length], at most max_seq_len, -> context [batch, length, n_embed]. Every token sees every other,
 * padding too. Source: x_transformer.py, TransformerWrapper and Encoder, without the logits.
 *
 * @example
 * const config = textEncoderConfig.parse({ n_embed: 192, n_layer: 2, vocab_size: 4096, max_seq_len: 24, heads: 6, dim_head: 32 })
 * trace({ tokens: i64(1, 24) }, (at, { tokens }) => textEncoder(at, config, tokens))
 */
export function textEncoder(root: Scope, config: TextEncoderConfig, tokens: Tensor): Tensor {
  const { n_embed: width, n_layer, vocab_size, max_seq_len } = config
  const at = root('transformer')
  const length = tokens.shape[1]!
  if (tokens.shape.length !== 2 || length > max_seq_len) {
    throw new RangeError(
      `text encoder: tokens have shape [${tokens.shape.join(', ')}], wanted [batch, at most ${max_seq_len}]`,
    )
  }
  const positions = at('pos_emb.emb').parameter('weight', [max_seq_len, width], normal(0.02))
  let h = add(
    embedding(at('token_emb'), tokens, { count: vocab_size, width, init: normal(0.02) }),
    slice(positions, { axis: 0, start: 0, end: length }),
  )
  for (let i = 0; i < n_layer; i++) {
    const attend = at(`attn_layers.layers.${2 * i}`)
    h = add(selfAttention(attend('1'), layerNorm(attend('0'), h), config), h)
    const forward = at(`attn_layers.layers.${2 * i + 1}`)
    h = add(feedForward(forward('1.net'), layerNorm(forward('0'), h)), h)
  }
  return layerNorm(at('norm'), h)
}

function selfAttention(at: Scope, x: Tensor, { heads, dim_head }: TextEncoderConfig): Tensor {
  const project = (name: string) => linear(at(name), x, { out: heads * dim_head, bias: false })
  const h = multiHeadAttention(project('to_q'), project('to_k'), project('to_v'), { heads })
  return linear(at('to_out'), h, { out: x.shape.at(-1)! })
}

function feedForward(at: Scope, x: Tensor): Tensor {
  const width = x.shape.at(-1)!
  return linear(at('2'), gelu(linear(at('0.0'), x, { out: 4 * width })), { out: width })
}
