import { conv2d } from '../nn/conv.js'
import type { Dropout } from '../nn/dropout.js'
import type { Scope } from '../tensor/program.js'
import type { Tensor } from '../tensor/tensor.js'
import type { AutoencoderConfig } from './config.js'
import { decoder, encoder } from './networks.js'
import { type Posterior, posteriorOf } from './posterior.js'

/** Moments of images [batch, in_channels, h, w] in [-1, 1]: [batch, 2 * embed_dim, h/f, w/f]. Source: autoencoder.py, AutoencoderKL.encode. */
export function encodeMoments(
  at: Scope,
  { ddconfig, embed_dim }: AutoencoderConfig,
  images: Tensor,
  dropout?: Dropout,
): Tensor {
  const h = at('encoder').mark(encoder(at('encoder'), ddconfig, images, dropout))
  return conv2d(at('quant_conv'), h, { out: 2 * embed_dim, kernel: 1 })
}

/**
 * Distribution of the latents of images in [-1, 1].
 *
 * @example
 * const posterior = encode(at, config, images)
 * const reconstruction = decode(at, config, sample(posterior, noise))
 */
export const encode = (at: Scope, config: AutoencoderConfig, images: Tensor, dropout?: Dropout): Posterior =>
  posteriorOf(encodeMoments(at, config, images, dropout))

/** Images, roughly in [-1, 1], of latents [batch, embed_dim, h, w]. Source: autoencoder.py, AutoencoderKL.decode. */
export const decode = (at: Scope, { ddconfig }: AutoencoderConfig, latents: Tensor, dropout?: Dropout): Tensor =>
  decoder(
    at('decoder'),
    ddconfig,
    conv2d(at('post_quant_conv'), latents, { out: ddconfig.z_channels, kernel: 1 }),
    dropout,
  )
