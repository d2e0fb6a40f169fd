import { multiHeadAttention } from '../nn/attention.js'
import { torchDefault, zeros } from '../nn/initialisers.js'
import { linear } from '../nn/linear.js'
import { layerNorm } from '../nn/norm.js'
import { gelu, quickGelu } from '../tensor/activation.js'
import { add } from '../tensor/binary.js'
import { matmul } from '../tensor/matmul.js'
import type { Scope } from '../tensor/program.js'
import { transpose } from '../tensor/reshape.js'
import { split } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'

/** A CLIP tower's transformer, of its text as of its images. */
export interface ClipLayers {
  readonly layers: number
  readonly heads: number
  /** Width inside the feed-forward parts. */
  readonly inner: number
  readonly activation: 'quick_gelu' | 'gelu'
  /** Each token sees those before it alone. */
  readonly causal: boolean
  readonly epsilon?: number | undefined
  /** Whose names the parameters have: transformers' `layers.0.self_attn.q_proj`, or openai/CLIP's `resblocks.0.attn`. */
  readonly names: ClipNames
}

export type ClipNames = 'huggingface' | 'openai'

const words = {
  huggingface: { layers: 'layers', norms: 'layer_norm', attention: 'self_attn', first: 'mlp.fc1', second: 'mlp.fc2' },
  openai: { layers: 'resblocks', norms: 'ln_', attention: 'attn', first: 'mlp.c_fc', second: 'mlp.c_proj' },
} as const

/** Tokens [batch, length, width] before the first layer and after each. */
export function clipLayers(at: Scope, x: Tensor, options: ClipLayers): Tensor[] {
  const hidden = [x]
  const { layers } = words[options.names]
  for (let i = 0; i < options.layers; i++) hidden.push(layer(at(`${layers}.${i}`), hidden[i]!, options))
  return hidden
}

function layer(at: Scope, x: Tensor, { names, heads, inner, activation, causal, epsilon }: ClipLayers): Tensor {
  const out = x.shape.at(-1)!
  const { norms, attention, first, second } = words[names]
  const norm = (i: number, h: Tensor) => layerNorm(at(`${norms}${i}`), h, epsilon === undefined ? {} : { epsilon })
  const own = at(attention)
  const [q, k, v] = (names === 'openai' ? fusedProjections : projections)(own, norm(1, x)) as [Tensor, Tensor, Tensor]
  const h = add(x, linear(own('out_proj'), multiHeadAttention(q, k, v, { heads, causal }), { out }))
  const activate = activation === 'gelu' ? gelu : quickGelu
  return add(h, linear(at(second), activate(linear(at(first), norm(2, h), { out: inner })), { out }))
}

const projections = (at: Scope, x: Tensor): Tensor[] =>
  ['q_proj', 'k_proj', 'v_proj'].map(name => linear(at(name), x, { out: x.shape.at(-1)! }))

/** torch's MultiheadAttention keeps the three projections in one matrix. */
function fusedProjections(at: Scope, x: Tensor): Tensor[] {
  const width = x.shape.at(-1)!
  const weights = split(at.parameter('in_proj_weight', [3 * width, width], torchDefault(width)), 3, { axis: 0 })
  const biases = split(at.parameter('in_proj_bias', [3 * width], zeros), 3, { axis: 0 })
  return weights.map((weight, i) => add(matmul(x, transpose(weight)), biases[i]!))
}
