import { add, div, mul, sub } from '../tensor/binary.js'
import type { Scope } from '../tensor/program.js'
import type { Tensor } from '../tensor/tensor.js'
import { decode, encode } from './autoencoder.js'
import {
  type AutoencoderConfig,
  type FirstStageConfig,
  hasCodebook,
  hasSpread,
  isTaesd,
  type VqConfig,
} from './config.js'
import { type Posterior, sample } from './posterior.js'
import { decodeTaesd, encodeTaesd } from './taesd.js'
import { decodeVq, encodeVq, nearestCodes, type Quantized, type QuantizeOptions, quantize } from './vq.js'

/**
 * Distribution of the latents that a diffusion model works on, for images [batch, 3, h, w] in [-1, 1]. Without KL it is a
 * point: a codebook's latents come before they are quantised, as the original's VQModelInterface has it; TAESD's are
 * those of the autoencoder that it stands for, scaled as its diffusion model has them.
 */
export function encodeFirstStage(at: Scope, config: FirstStageConfig, images: Tensor): Posterior {
  if (hasSpread(config)) return encode(at, config, images)
  if ('f' in config) return point(images)
  if (isTaesd(config)) return point(encodeTaesd(at('encoder'), config, div(add(images, 1), 2)))
  return point(encodeVq(at, config, images))
}

/** Images, roughly in [-1, 1], of latents [batch, embed_dim, h, w]; a codebook's are quantised first. */
export function decodeFirstStage(at: Scope, config: FirstStageConfig, latents: Tensor): Tensor {
  if ('f' in config) return latents
  if (isTaesd(config)) return sub(mul(decodeTaesd(at('decoder'), config, latents), 2), 1)
  return hasCodebook(config)
    ? decodeVq(at, config, nearestCodes(at, config, latents).codes)
    : decode(at, config, latents)
}

/** Images that went through a first stage, with what its loss wants to know of the latents. */
export interface Reconstruction {
  readonly images: Tensor
  readonly posterior?: Posterior
  readonly quantized?: Quantized
}

export interface ReconstructOptions extends QuantizeOptions {
  /** Unit normal, of the latents' shape, by which they are drawn; without it they are the posterior's mean. */
  readonly noise?: Tensor | undefined
}

/** Images [batch, 3, h, w] in [-1, 1] encoded and decoded, as a first stage is trained. */
export function reconstruct(
  at: Scope,
  config: AutoencoderConfig | VqConfig,
  images: Tensor,
  { noise, ...options }: ReconstructOptions = {},
): Reconstruction {
  if (hasCodebook(config)) {
    const quantized = quantize(at, config, encodeVq(at, config, images), options)
    return { images: decodeVq(at, config, quantized.latents), quantized }
  }
  const posterior = encode(at, config, images)
  return { images: decode(at, config, noise ? sample(posterior, noise) : posterior.mean), posterior }
}

/** No variance at all, so that drawing from it gives the mean to the bit. */
const point = (mean: Tensor): Posterior => ({ mean, logvar: add(mul(mean, 0), Number.NEGATIVE_INFINITY) })
