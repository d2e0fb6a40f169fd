import { klPerElement, kl as klPerSample, type Posterior } from '../autoencoder/posterior.js'
import { add, div, mul, sub } from '../tensor/binary.js'
import type { Scope } from '../tensor/program.js'
import { mean, sum } from '../tensor/reduce.js'
import { unsqueeze } from '../tensor/reshape.js'
import type { Tensor } from '../tensor/tensor.js'
import { abs, exp } from '../tensor/unary.js'

export interface Reconstructed {
  /** [batch, c, h, w], in [-1, 1]. */
  images: Tensor
  reconstructions: Tensor
  posterior: Posterior
  /** Perceptual distance of the two, [batch]. */
  distance?: Tensor | undefined
}

/** A loss and the parts of it, scalars. */
export interface AutoencoderLoss {
  loss: Tensor
  /** Mean absolute difference. */
  l1: Tensor
  /** Mean perceptual distance. */
  perceptual?: Tensor
  kl: Tensor
}

/** L1 + perceptual + KL, all means over elements, so that weights mean the same at any size. */
export function reconstructionLoss(
  { images, reconstructions, posterior, distance }: Reconstructed,
  { perceptualWeight, klWeight }: { perceptualWeight: number; klWeight: number },
): AutoencoderLoss {
  const l1 = mean(abs(sub(images, reconstructions)))
  const kl = klPerElement(posterior)
  const loss = add(l1, mul(kl, klWeight))
  if (distance === undefined) return { loss, l1, kl }
  const perceptual = mean(distance)
  return { loss: add(loss, mul(perceptual, perceptualWeight)), l1, perceptual, kl }
}

/** The original's terms, without its discriminator: scalars, and `reconstruction` of the images' shape. */
export interface LikelihoodLoss {
  loss: Tensor
  /** Absolute difference plus weighted perceptual distance of each element. */
  reconstruction: Tensor
  nll: Tensor
  kl: Tensor
}

/**
 * The original's loss: a Laplacian likelihood whose log variance is a parameter, and KL, both summed over elements and
 * averaged over the batch. The original's optimiser never gets `logvar`. Source: contperceptual.py, LPIPSWithDiscriminator.
 */
export function likelihoodLoss(
  at: Scope,
  { images, reconstructions, posterior, distance }: Reconstructed,
  { perceptualWeight, klWeight, logvarInit = 0 }: { perceptualWeight: number; klWeight: number; logvarInit?: number },
): LikelihoodLoss {
  const difference = abs(sub(images, reconstructions))
  const batch = images.shape[0]!
  const spread = (x: Tensor) => [1, 2, 3].reduce(h => unsqueeze(h, -1), x)
  const reconstruction = distance === undefined ? difference : add(difference, mul(spread(distance), perceptualWeight))
  const logvar = at.parameter('logvar', [], { kind: 'constant', value: logvarInit })
  const nll = mul(sum(add(div(reconstruction, exp(logvar)), logvar)), 1 / batch)
  const kl = mul(sum(klPerSample(posterior)), 1 / batch)
  return { loss: add(nll, mul(kl, klWeight)), reconstruction, nll, kl }
}
