import { conv2d } from '../nn/conv.js'
import type { Dropout } from '../nn/dropout.js'
import { argmax } from '../tensor/arg.js'
import { add, div, greater, mul, sub } from '../tensor/binary.js'
import { constant } from '../tensor/constant.js'
import { stopGradient, straightThrough } from '../tensor/control.js'
import { gather, scatterAdd } from '../tensor/gather.js'
import { matmul } from '../tensor/matmul.js'
import type { Scope } from '../tensor/program.js'
import { mean, sum } from '../tensor/reduce.js'
import { expandTo, reshape, transpose } from '../tensor/reshape.js'
import { concat } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import { cast, exp, log, neg, square } from '../tensor/unary.js'
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
  /** The latents position by position, [batch * h * w, embed_dim], in the order of the indices. */
  rows: Tensor
}

export interface QuantizeOptions {
  /** Whether the codes learn by gradients; otherwise they are moved from outside, and only the commitment counts. */
  readonly learned?: boolean
}

/** Latents before quantisation, which a diffusion model works on: [batch, embed_dim, h/f, w/f]. Source: autoencoder.py, VQModelInterface.encode. */
export const encodeVq = (at: Scope, { ddconfig, embed_dim }: VqConfig, images: Tensor, dropout?: Dropout): Tensor =>
  at('quant_conv').mark(
    conv2d(at('quant_conv'), encoder(at('encoder'), ddconfig, images, dropout), { out: embed_dim, kernel: 1 }),
  )

/** Images of quantised latents. Source: autoencoder.py, VQModel.decode. */
export const decodeVq = (at: Scope, { ddconfig }: VqConfig, latents: Tensor, dropout?: Dropout): Tensor =>
  decoder(
    at('decoder'),
    ddconfig,
    conv2d(at('post_quant_conv'), latents, { out: ddconfig.z_channels, kernel: 1 }),
    dropout,
  )

/** The codes nearest to latents, as latents, with the latents as rows and the numbers of their codes. */
export function nearestCodes(at: Scope, { n_embed, embed_dim }: Pick<VqConfig, 'n_embed' | 'embed_dim'>, z: Tensor) {
  const codebook = at('quantize.embedding').parameter('weight', [n_embed, embed_dim], {
    kind: 'uniform',
    bound: 1 / n_embed,
  })
  const byPosition = transpose(z, [0, 2, 3, 1])
  const [batch, height, width] = byPosition.shape as [number, number, number]
  const rows = reshape(byPosition, [batch * height * width, embed_dim])
  // -|z - e|^2 without |z|^2, which is the same for every code, as one product: the matrix is large and gone through once.
  const ones = expandTo(constant(1), [rows.shape[0]!, 1])
  const norms = neg(sum(square(codebook), { axes: 1, keep: true }))
  const closeness = matmul(concat([rows, ones], { axis: 1 }), transpose(concat([mul(codebook, 2), norms], { axis: 1 })))
  const nearest = argmax(closeness, { axis: 1 })
  const codes = transpose(reshape(gather(codebook, nearest), byPosition.shape), [0, 3, 1, 2])
  return { codes, rows, indices: reshape(nearest, [batch, height, width]) }
}

/** The codes nearest to latents, for training. Source: taming-transformers, vqvae/quantize.py, VectorQuantizer2. */
export function quantize(
  at: Scope,
  { beta, legacy, ...config }: Omit<VqConfig, 'ddconfig'>,
  z: Tensor,
  { learned = true }: QuantizeOptions = {},
): Quantized {
  const { codes, rows, indices } = nearestCodes(at, config, z)
  const commitment = mean(square(sub(stopGradient(codes), z)))
  const learning = mean(square(sub(codes, stopGradient(z))))
  return {
    latents: straightThrough(codes, z),
    indices: at('quantize').mark(indices),
    codebookLoss: !learned
      ? mul(commitment, beta)
      : legacy
        ? add(commitment, mul(learning, beta))
        : add(mul(commitment, beta), learning),
    rows,
  }
}

/** Codes [count, embed_dim] of indices i64 [batch, h, w] as latents. Source: quantize.py, get_codebook_entry. */
export const codesOf = (codebook: Tensor, indices: Tensor): Tensor => transpose(gather(codebook, indices), [0, 3, 1, 2])

/** How often each of `count` codes is among the indices (i64): [count]. */
export function codeCounts(indices: Tensor, count: number): Tensor {
  const flat = reshape(indices, [indices.shape.reduce((a, b) => a * b, 1)])
  return scatterAdd(flat, expandTo(constant(1), flat.shape), count)
}

/**
 * How widely codes are used, by their counts: `perplexity`, as if so many were used equally often, and `usage`, how many
 * are used at all. Source: latent-diffusion, vqperceptual.py, measure_perplexity.
 */
export function codeUse(counts: Tensor): { perplexity: Tensor; usage: Tensor } {
  const share = div(counts, sum(counts))
  return {
    perplexity: exp(neg(sum(mul(share, log(add(share, 1e-10)))))),
    usage: sum(cast(greater(counts, 0), 'f32')),
  }
}
