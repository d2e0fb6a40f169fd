import { z } from 'zod'
import { conv2d } from '../nn/conv.js'
import { normal } from '../nn/initialisers.js'
import { layerNorm } from '../nn/norm.js'
import { add, div, sub } from '../tensor/binary.js'
import { constant } from '../tensor/constant.js'
import { matmul } from '../tensor/matmul.js'
import type { Scope } from '../tensor/program.js'
import { reshape, transpose, unsqueeze } from '../tensor/reshape.js'
import { pad, slice } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import { clipLayers } from '../text/clip-layers.js'

const count = z.int().positive()

/** The image half of a CLIP: a vision transformer. */
export const clipVisionConfig = z.strictObject({
  size: count.describe('side of the images in pixels'),
  patch: count,
  width: count,
  layers: count,
  heads: z.number().positive(),
  inner: count.describe('width inside the feed-forward parts'),
  embed_dim: count.describe('width of the space that texts and images share'),
  activation: z.enum(['quick_gelu', 'gelu']).describe("openai/CLIP: quick_gelu; OpenCLIP's own models: gelu"),
  names: z.enum(['huggingface', 'openai']).describe('whose names the parameters have'),
})
/** The image half of a CLIP. */
export type ClipVisionConfig = z.infer<typeof clipVisionConfig>

/** Mean and deviation of the pixels in [0, 1] that CLIP was trained on, written for pixels in [-1, 1]. */
const MEAN = [0.48145466, 0.4578275, 0.40821073].map(x => 2 * x - 1)
const DEVIATION = [0.26862954, 0.26130258, 0.27577711].map(x => 2 * x)

const words = {
  openai: {
    at: 'visual',
    patches: 'conv1',
    embeddings: '',
    before: 'ln_pre',
    layers: 'transformer',
    after: 'ln_post',
  },
  huggingface: {
    at: 'vision_model',
    patches: 'embeddings.patch_embedding',
    embeddings: 'embeddings',
    before: 'pre_layrnorm',
    layers: 'encoder',
    after: 'post_layernorm',
  },
} as const

/** An image of CLIP's mean colour, [3, size, size] in [-1, 1]: what is 0 once it is scaled. */
export const clipMean = (size: number): Float32Array =>
  Float32Array.from({ length: 3 * size * size }, (_, i) => MEAN[Math.floor(i / (size * size))]!)

/** What CLIP sees in images. */
export interface ClipVision {
  /** [batch, embed_dim]. */
  readonly embedding: Tensor
  /** The class and all patches before the first layer and after each, [batch, patches + 1, width]. */
  readonly hidden: readonly Tensor[]
}

/**
 * What CLIP sees in images [batch, 3, size, size] in [-1, 1].
 *
 * Source: openai/CLIP, clip/model.py, VisionTransformer; transformers, CLIPVisionModelWithProjection.
 */
export function clipVision(root: Scope, config: ClipVisionConfig, images: Tensor): ClipVision {
  const { size, patch, width, layers, heads, inner, embed_dim, activation, names } = config
  const name = words[names]
  const at = root(name.at)
  const tokens = (size / patch) ** 2
  const scaled = div(sub(images, constant(MEAN, [1, 3, 1, 1])), constant(DEVIATION, [1, 3, 1, 1]))
  const patches = conv2d(at(name.patches), scaled, {
    out: width,
    kernel: patch,
    stride: patch,
    padding: 0,
    bias: false,
  })
  const x = transpose(reshape(patches, [images.shape[0]!, width, tokens]))
  const embeddings = at(name.embeddings)
  const first = embeddings.parameter('class_embedding', [width], normal(width ** -0.5))
  const shape = [tokens + 1, width]
  const positions =
    names === 'openai'
      ? embeddings.parameter('positional_embedding', shape, normal(width ** -0.5))
      : embeddings('position_embedding').parameter('weight', shape, normal(0.02))
  // The class token stands before the patches: a place of zeros, to which its embedding comes with its position.
  const offsets = add(
    positions,
    pad(unsqueeze(first, 0), [
      [0, tokens],
      [0, 0],
    ]),
  )
  const h = layerNorm(
    at(name.before),
    add(
      pad(x, [
        [0, 0],
        [1, 0],
        [0, 0],
      ]),
      offsets,
    ),
  )
  const hidden = clipLayers(at(name.layers), h, { layers, heads, inner, activation, causal: false, names })
  const pooled = layerNorm(
    at(name.after),
    reshape(slice(hidden.at(-1)!, { axis: 1, start: 0, end: 1 }), [images.shape[0]!, width]),
  )
  const std = width ** -0.5
  if (names === 'openai') {
    return { hidden, embedding: matmul(pooled, at.parameter('proj', [width, embed_dim], normal(std))) }
  }
  const weight = root('visual_projection').parameter('weight', [embed_dim, width], normal(std))
  return { hidden, embedding: matmul(pooled, transpose(weight)) }
}
