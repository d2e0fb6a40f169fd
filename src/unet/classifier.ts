import { z } from 'zod'
import { conv2d, pointwise } from '../nn/conv.js'
import { normal, zeros } from '../nn/initialisers.js'
import { groupNorm } from '../nn/norm.js'
import { silu } from '../tensor/activation.js'
import { attention } from '../tensor/attention.js'
import { add } from '../tensor/binary.js'
import type { Scope } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import { reshape, transpose } from '../tensor/reshape.js'
import { concat, slice, split } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import { unetConfig } from './config.js'
import { conditionEmbedding } from './embedding.js'
import { blocksOf, encoderHalf } from './encoder.js'

/** How positions become one vector: by an attention to their mean, or as their mean. */
const pool = z.enum(['attention', 'adaptive']).default('attention')

/** A noisy classifier in the words of EncoderUNetModel; out_channels are its classes. */
export const classifierConfig = z
  .strictObject({ pool, encoder: unetConfig })
  .superRefine(({ pool, encoder }, { addIssue }) => {
    const problem = (name: string, message: string) => addIssue({ code: 'custom', path: ['encoder', name], message })
    if (pool === 'attention' && encoder.num_head_channels === -1)
      problem('num_head_channels', 'attention pooling needs the channels of a head')
    if (typeof encoder.image_size !== 'number') problem('image_size', 'give the size of the latents')
    if (encoder.num_classes != null || encoder.context_dim != null)
      problem('num_classes', 'a classifier takes no conditions: leave num_classes and context_dim out')
  })
export type ClassifierConfig = z.infer<typeof classifierConfig>

/**
 * A classifier of noisy latents [batch, in_channels, h, w] at times [batch]: logits [batch, out_channels]. The encoder half
 * of a UNet, then pooling. Source: openaimodel.py, EncoderUNetModel and AttentionPool2d; guided-diffusion, unet.py.
 */
export function noisyClassifier(at: Scope, { pool, encoder }: ClassifierConfig, x: Tensor, t: Tensor): Tensor {
  const emb = conditionEmbedding(at, encoder, { t })
  const { middle } = encoderHalf(at, encoder, x, blocksOf(encoder, { emb }))
  const h = silu(groupNorm(at('out.0'), middle))
  const classes = encoder.out_channels
  if (pool === 'attention') return attentionPool(at('out.2'), h, classes, encoder.num_head_channels)
  const logits = conv2d(at('out.3'), mean(h, { axes: [2, 3], keep: true }), { out: classes, kernel: 1, init: zeros })
  return reshape(logits, [x.shape[0]!, classes])
}

/** What the mean of all positions sees of them: [batch, channels, h, w] -> [batch, out]. Source: clip/model.py, AttentionPool2d. */
function attentionPool(at: Scope, x: Tensor, out: number, headChannels: number): Tensor {
  const [batch, channels, height, width] = x.shape as [number, number, number, number]
  const area = height * width
  const flat = reshape(x, [batch, channels, area])
  const positions = at.parameter('positional_embedding', [channels, area + 1], normal(channels ** -0.5))
  const tokens = add(concat([mean(flat, { axes: 2, keep: true }), flat], { axis: 2 }), positions)
  const length = area + 1
  const qkv = pointwise(at('qkv_proj'), reshape(tokens, [batch, channels, 1, length]), { out: 3 * channels })
  const heads = channels / headChannels
  const parts = split(reshape(qkv, [batch, 3 * heads, headChannels, length]), 3, { axis: 1 })
  const [q, k, v] = parts.map(part => transpose(part)) as [Tensor, Tensor, Tensor]
  // Only the first place's answer is taken, so it alone asks.
  const first = slice(q, { axis: 2, start: 0, end: 1 })
  const answer = reshape(attention(first, k, v), [batch, channels, 1, 1])
  return reshape(pointwise(at('c_proj'), answer, { out }), [batch, out])
}
