import { conv2d } from '../nn/conv.js'
import type { Dropout } from '../nn/dropout.js'
import { argmin } from '../tensor/arg.js'
import { add, mul, sub } from '../tensor/binary.js'
import { stopGradient, straightThrough } from '../tensor/control.js'
import { gather } from '../tensor/gather.js'
import { matmul } from '../tensor/matmul.js'
import type { Scope } from '../tensor/program.js'
import { mean, sum } from '../tensor/reduce.js'
import { reshape, transpose } from '../tensor/reshape.js'
import type { Tensor } from '../tensor/tensor.js'
import { square } from '../tensor/unary.js'
import type { VqConfig } from './config.js'
import { decoder, encoder } from './networks.js'

/** What a quantiser makes of latents [batch, embed_dim, h, w]. */
export interface Quantized {
  /** The nearest codes; gradients pass straight through to the latents. */
  latents: Tensor
  /** Which codes: i64 [batch, h, w]. */
  indices: Tensor
  /** Brings codes and latents together: a scalar. */
  codebookLoss: Tensor
}

/** Latents before quantisation, which a diffusion model works on: [batch, embed_dim, h/f, w/f]. Source: autoencoder.py, VQModelInterface.encode. */
export const encodeVq = (at: Scope, { ddconfig, embed_dim }: VqConfig, images: Tensor, dropout?: Dropout): Tensor =>
  conv2d(at('quant_conv'), encoder(at('encoder'), ddconfig, images, dropout), { out: embed_dim, kernel: 1 })

/** Images of quantised latents. Source: autoencoder.py, VQModel.decode. */
export const decodeVq = (at: Scope, { ddconfig }: VqConfig, latents: Tensor, dropout?: Dropout): Tensor =>
  decoder(
    at('decoder'),
    ddconfig,
    conv2d(at('post_quant_conv'), latents, { out: ddconfig.z_channels, kernel: 1 }),
    dropout,
  )

/** The codes nearest to latents. Source: taming-transformers, vqvae/quantize.py, VectorQuantizer2. */
export function quantize(at: Scope, { n_embed, embed_dim, beta, legacy }: VqConfig, z: Tensor): Quantized {
  const codebook = at('quantize.embedding').parameter('weight', [n_embed, embed_dim], {
    kind: 'uniform',
    bound: 1 / n_embed,
  })
  const byPosition = transpose(z, [0, 2, 3, 1])
  const [batch, height, width] = byPosition.shape as [number, number, number]
  const rows = reshape(byPosition, [batch * height * width, embed_dim])
  // |z - e|^2 without |z|^2, which is the same for every code.
  const distances = sub(sum(square(codebook), { axes: 1 }), mul(matmul(rows, transpose(codebook)), 2))
  const nearest = argmin(distances, { axis: 1 })
  const codes = transpose(reshape(gather(codebook, nearest), byPosition.shape), [0, 3, 1, 2])
  const commitment = mean(square(sub(stopGradient(codes), z)))
  const learning = mean(square(sub(codes, stopGradient(z))))
  return {
    latents: straightThrough(codes, z),
    indices: reshape(nearest, [batch, height, width]),
    codebookLoss: legacy ? add(commitment, mul(learning, beta)) : add(mul(commitment, beta), learning),
  }
}
