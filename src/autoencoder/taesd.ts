import { z } from 'zod'
import { conv2d } from '../nn/conv.js'
import { groupNorm } from '../nn/norm.js'
import { relu } from '../tensor/activation.js'
import { add, div, maximum, minimum, mul, sub } from '../tensor/binary.js'
import type { Scope } from '../tensor/program.js'
import { resizeNearest } from '../tensor/resize.js'
import type { Tensor } from '../tensor/tensor.js'
import { tanh } from '../tensor/unary.js'

/** A tiny autoencoder of the scaled latents of a Stable Diffusion, f = 8. Source: madebyollin/taesd, taesd.py. */
export const taesdConfig = z.strictObject({
  width: z.int().positive().default(64).describe('channels throughout'),
  latent_channels: z.int().positive().default(4),
  use_midblock_gn: z.boolean().default(false).describe('blocks at the smallest size look at the whole picture'),
})

export type TaesdConfig = z.infer<typeof taesdConfig>

/** Pixels along each side for which a latent stands. */
export const taesdFactor = 8

/** Images [batch, 3, h, w] in [0, 1] -> latents [batch, latent_channels, h/8, w/8]. */
export function encodeTaesd(
  at: Scope,
  { width, latent_channels, use_midblock_gn }: TaesdConfig,
  images: Tensor,
): Tensor {
  const next = counter(at)
  let h = block(next, conv2d(next(), images, { out: width, kernel: 3 }))
  for (let level = 0; level < 3; level++) {
    h = conv2d(next(), h, { out: width, kernel: 3, stride: 2, bias: false })
    for (let i = 0; i < 3; i++) h = block(next, h, use_midblock_gn && level === 2)
  }
  return conv2d(next(), h, { out: latent_channels, kernel: 3 })
}

/** Latents -> images around [0, 1], not clamped. */
export function decodeTaesd(at: Scope, { width, use_midblock_gn }: TaesdConfig, latents: Tensor): Tensor {
  const next = counter(at)
  next() // the original's first layer has no parameters: it bounds the latents to [-3, 3]
  let h = relu(conv2d(next(), mul(tanh(div(latents, 3)), 3), { out: width, kernel: 3 }))
  next() // ReLU
  for (let level = 0; level < 3; level++) {
    for (let i = 0; i < 3; i++) h = block(next, h, use_midblock_gn && level === 0)
    next() // enlargement
    h = resizeNearest(h, [2 * h.shape[2]!, 2 * h.shape[3]!])
    h = conv2d(next(), h, { out: width, kernel: 3, bias: false })
  }
  h = block(next, h)
  return conv2d(next(), h, { out: 3, kernel: 3 })
}

/** Three convolutions added to their input. */
function block(next: () => Scope, input: Tensor, pooled = false): Tensor {
  const at = next()
  const out = input.shape[1]!
  const x = pooled ? add(input, pool(at('pool'), input)) : input
  let h = relu(conv2d(at('conv.0'), x, { out, kernel: 3 }))
  h = relu(conv2d(at('conv.2'), h, { out, kernel: 3 }))
  return relu(add(conv2d(at('conv.4'), h, { out, kernel: 3 }), x))
}

function pool(at: Scope, x: Tensor): Tensor {
  const out = x.shape[1]!
  const h = relu(groupNorm(at('1'), conv2d(at('0'), x, { out: 4 * out, kernel: 1, bias: false }), { groups: 4 }))
  return conv2d(at('3'), h, { out, kernel: 1, bias: false })
}

/** Scopes '0', '1', ... as the layers of a torch Sequential. */
function counter(at: Scope): () => Scope {
  let layer = 0
  return () => at(String(layer++))
}

/** Latents brought from [-3, 3] to [0, 1] and cut off there, to be kept as pictures. Source: taesd.py, scale_latents. */
export const scaleLatents = (latents: Tensor): Tensor => minimum(maximum(add(div(latents, 6), 0.5), 0), 1)

/** The opposite of `scaleLatents`. */
export const unscaleLatents = (scaled: Tensor): Tensor => mul(sub(scaled, 0.5), 6)
