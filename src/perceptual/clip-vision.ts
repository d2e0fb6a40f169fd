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
import { type ClipNames, clipLayers } from '../text/clip-layers.js'

/** The image half of a CLIP: a vision transformer. */
export interface ClipVisionConfig {
  /** Side of the images in pixels. */
  readonly size: number
  readonly patch: number
  readonly width: number
  readonly layers: number
  readonly heads: number
  /** Width inside the feed-forward parts. */
  readonly inner: number
  /** Width of the space that texts and images share. */
  readonly embed_dim: number
  /** openai/CLIP: quick_gelu; OpenCLIP's own models: gelu. */
  readonly activation: 'quick_gelu' | 'gelu'
  /** Whose names the parameters have. */
  readonly names: ClipNames
}

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

/**
 * CLIP's embedding of images [batch, 3, size, size] in [-1, 1]: [batch, embed_dim].
 *
 * Source: openai/CLIP, clip/model.py, VisionTransformer; transformers, CLIPVisionModelWithProjection.
 */
export function clipVision(root: Scope, config: ClipVisionConfig, images: Tensor): Tensor {
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
  const last = clipLayers(at(name.layers), h, { layers, heads, inner, activation, causal: false, names }).at(-1)!
  const pooled = layerNorm(
    at(name.after),
    reshape(slice(last, { axis: 1, start: 0, end: 1 }), [images.shape[0]!, width]),
  )
  if (names === 'openai') return matmul(pooled, at.parameter('proj', [width, embed_dim], normal(width ** -0.5)))
  const weight = root('visual_projection').parameter('weight', [embed_dim, width], normal(width ** -0.5))
  return matmul(pooled, transpose(weight))
}
