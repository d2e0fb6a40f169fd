import { z } from 'zod'
import { multiHeadAttention } from '../../nn/attention.js'
import { normal } from '../../nn/initialisers.js'
import { linear, linearInParts } from '../../nn/linear.js'
import { layerNorm } from '../../nn/norm.js'
import { gelu } from '../../tensor/activation.js'
import { add } from '../../tensor/binary.js'
import type { Scope } from '../../tensor/program.js'
import { expandTo, reshape } from '../../tensor/reshape.js'
import { concat } from '../../tensor/slice.js'
import type { Tensor } from '../../tensor/tensor.js'

const count = z.int().positive()

/** How an IP-adapter makes tokens of what CLIP sees in a picture. */
export const imageProjectionConfig = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('linear').describe('tokens from the embedding of the whole picture'),
    tokens: count,
    width: count.describe('of the tokens'),
  }),
  z.strictObject({
    kind: z.literal('resampler').describe('tokens that ask all places of the picture, layer after layer'),
    tokens: count,
    width: count,
    inner: count.describe('width of the tokens between the layers'),
    depth: count,
    heads: count,
    head_width: count,
  }),
  z.strictObject({
    kind: z.literal('every_place').describe('a token for each place of the picture'),
    width: count,
  }),
])
/** How an IP-adapter makes tokens. */
export type ImageProjectionConfig = z.infer<typeof imageProjectionConfig>

/** What CLIP sees in pictures. */
export interface SeenPictures {
  /** The embedding of the whole picture, [batch, width]. */
  readonly embedding: Tensor
  /** All places and the class before the last layer, [batch, places, width]. */
  readonly places: Tensor
}

/**
 * Tokens [batch, n, width] of pictures. Source: Ye et al. 2023; tencent-ailab/IP-Adapter, ip_adapter.py, ImageProjModel and
 * MLPProjModel, and resampler.py.
 */
export function imageProjection(at: Scope, config: ImageProjectionConfig, { embedding, places }: SeenPictures): Tensor {
  const { width } = config
  if (config.kind === 'linear') {
    const { tokens } = config
    const flat = linear(at('proj'), embedding, { out: tokens * width })
    return layerNorm(at('norm'), reshape(flat, [embedding.shape[0]!, tokens, width]))
  }
  if (config.kind === 'every_place') {
    const h = gelu(linear(at('proj.0'), places, { out: places.shape[2]! }))
    return layerNorm(at('proj.3'), linear(at('proj.2'), h, { out: width }))
  }
  const { tokens, inner, depth } = config
  const seen = linear(at('proj_in'), places, { out: inner })
  let h = expandTo(at.parameter('latents', [1, tokens, inner], normal(inner ** -0.5)), [
    places.shape[0]!,
    tokens,
    inner,
  ])
  for (let i = 0; i < depth; i++) {
    const layer = at(`layers.${i}`)
    h = add(asking(layer('0'), h, seen, config), h)
    h = add(feedForward(layer('1'), h), h)
  }
  return layerNorm(at('norm_out'), linear(at('proj_out'), h, { out: width }))
}

/** Attention of tokens to the places and to themselves. Source: resampler.py, PerceiverAttention. */
function asking(
  at: Scope,
  tokens: Tensor,
  places: Tensor,
  { heads, head_width }: { heads: number; head_width: number },
): Tensor {
  const out = heads * head_width
  const [own, others] = [layerNorm(at('norm2'), tokens), layerNorm(at('norm1'), places)]
  const q = linear(at('to_q'), own, { out, bias: false })
  const all = concat([others, own], { axis: 1 })
  const [k, v] = linearInParts(at('to_kv'), all, { out: 2 * out, parts: 2, bias: false }) as [Tensor, Tensor]
  return linear(at('to_out'), multiHeadAttention(q, k, v, { heads }), { out: tokens.shape[2]!, bias: false })
}

function feedForward(at: Scope, x: Tensor): Tensor {
  const out = x.shape[2]!
  const h = gelu(linear(at('1'), layerNorm(at('0'), x), { out: 4 * out, bias: false }))
  return linear(at('3'), h, { out, bias: false })
}

type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>

/** The configuration that names and shapes tell; undefined where they are no IP-adapter's. */
export const imageProjectionConfigOf = (tensors: Shapes): ImageProjectionConfig | undefined =>
  imageProjectionConfig.safeParse(told(tensors)).data

function told(tensors: Shapes): unknown {
  const shapeOf = (name: string) => tensors.get(name)?.shape
  const width = shapeOf('norm.weight')?.[0] ?? shapeOf('norm_out.weight')?.[0] ?? shapeOf('proj.3.weight')?.[0]
  if (tensors.has('proj.3.weight')) return { kind: 'every_place', width }
  const rows = shapeOf('proj.weight')?.[0]
  if (rows !== undefined) return { kind: 'linear', tokens: rows / width!, width }
  const [, tokens, inner] = shapeOf('latents') ?? []
  let depth = 0
  while (tensors.has(`layers.${depth}.0.to_q.weight`)) depth++
  const heads = (shapeOf('layers.0.0.to_q.weight')?.[0] ?? 0) / HEAD
  return { kind: 'resampler', tokens, width, inner, depth, heads, head_width: HEAD }
}

/** The width of a resampler's heads in every published IP-adapter; shapes do not tell it. */
const HEAD = 64
