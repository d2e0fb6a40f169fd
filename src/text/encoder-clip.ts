import { z } from 'zod'
import { embedding } from '../nn/embedding.js'
import { normal } from '../nn/initialisers.js'
import { linear } from '../nn/linear.js'
import { layerNorm } from '../nn/norm.js'
import { argmax } from '../tensor/arg.js'
import { add, equal, less, mul } from '../tensor/binary.js'
import { constant } from '../tensor/constant.js'
import type { Scope } from '../tensor/program.js'
import { sum } from '../tensor/reduce.js'
import { unsqueeze } from '../tensor/reshape.js'
import { slice } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import { cast } from '../tensor/unary.js'
import { clipLayers } from './clip-layers.js'

const count = z.int().positive()

/** The part that matters of a Hugging Face CLIPTextConfig; other words of it are passed over. */
export const clipTextConfig = z.object({
  vocab_size: count,
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  max_position_embeddings: count.default(77),
  hidden_act: z.enum(['quick_gelu', 'gelu']).default('quick_gelu').describe('openai/CLIP: quick_gelu; OpenCLIP: gelu'),
  layer_norm_eps: z.number().positive().default(1e-5),
  eos_token_id: z.int().default(2).describe('2 stands for the largest token of a text'),
})

export type ClipTextConfig = z.infer<typeof clipTextConfig>

export interface ClipText {
  /** After the last layer and the final normalisation: Stable Diffusion 1's context. [batch, length, hidden_size]. */
  last: Tensor
  /** Hidden states before the first layer and after each, without the final normalisation. */
  hidden: readonly Tensor[]
  /** `last` at the end-of-text token: [batch, hidden_size]. */
  pooled: Tensor
}

/** CLIP's text transformer: token ids i64 [batch, length]. Each token sees those before it. Source: transformers, CLIPTextModel. */
export function clipText(root: Scope, config: ClipTextConfig, tokens: Tensor): ClipText {
  const { hidden_size: width, max_position_embeddings } = config
  const at = root('text_model')
  const length = tokens.shape[1]!
  if (tokens.shape.length !== 2 || length > max_position_embeddings) {
    throw new RangeError(
      `CLIP text encoder: tokens have shape [${tokens.shape.join(', ')}], wanted [batch, at most ${max_position_embeddings}]`,
    )
  }
  const positions = at('embeddings.position_embedding').parameter(
    'weight',
    [max_position_embeddings, width],
    normal(0.02),
  )
  const words = embedding(at('embeddings.token_embedding'), tokens, {
    count: config.vocab_size,
    width,
    init: normal(0.02),
  })
  const hidden = clipLayers(at('encoder'), add(words, slice(positions, { axis: 0, start: 0, end: length })), {
    layers: config.num_hidden_layers,
    heads: config.num_attention_heads,
    inner: config.intermediate_size,
    activation: config.hidden_act,
    epsilon: config.layer_norm_eps,
    causal: true,
    names: 'huggingface',
  })
  const last = finalNorm(root, config, hidden.at(-1)!)
  return {
    last,
    hidden,
    pooled: atEndOfText(last, tokens, { eos: config.eos_token_id, vocabulary: config.vocab_size }),
  }
}

/** The final normalisation, for a hidden state other than the last (clip skip, Stable Diffusion 2). */
export const finalNorm = (root: Scope, config: ClipTextConfig, hidden: Tensor): Tensor =>
  layerNorm(root('text_model.final_layer_norm'), hidden, { epsilon: config.layer_norm_eps })

/** The pooled text in the space that it shares with images, [batch, projection_dim]. Source: CLIPTextModelWithProjection. */
export const clipTextProjection = (root: Scope, pooled: Tensor, width: number): Tensor =>
  linear(root('text_projection'), pooled, { out: width, bias: false })

/**
 * The row of the first end-of-text token. eos_token_id 2 is a fault of old configs and means the largest id of the
 * vocabulary, whose further words have larger ones. Source: CLIPTextTransformer.
 */
export function atEndOfText(
  x: Tensor,
  tokens: Tensor,
  { eos, vocabulary }: { eos: number; vocabulary: number },
): Tensor {
  const own = () => mul(tokens, cast(less(tokens, constant(vocabulary, [], 'i64')), 'i64'))
  const score = eos === 2 ? own() : cast(equal(tokens, constant(eos, [], 'i64')), 'i64')
  const position = unsqueeze(argmax(score, { axis: 1 }), 1)
  const length = tokens.shape[1]!
  const chosen = equal(
    constant(
      Array.from({ length }, (_, i) => i),
      [1, length],
      'i64',
    ),
    position,
  )
  return sum(mul(x, unsqueeze(cast(chosen, 'f32'), 2)), { axes: 1 })
}
