import { grad, pullback } from '../autodiff/index.js'
import { relu, softplus } from '../tensor/activation.js'
import { add, div, maximum, minimum, mul, sub } from '../tensor/binary.js'
import { withGradients } from '../tensor/control.js'
import { mean, sum } from '../tensor/reduce.js'
import type { Tensor } from '../tensor/tensor.js'
import { neg, sqrt, square } from '../tensor/unary.js'

export const adversarialLosses = ['hinge', 'vanilla'] as const
export type AdversarialLoss = (typeof adversarialLosses)[number]

/** What a discriminator minimises, given its logits of real and of made images. Source: taming-transformers, vqperceptual.py. */
export const discriminatorLoss = (kind: AdversarialLoss, real: Tensor, made: Tensor): Tensor =>
  kind === 'hinge'
    ? mul(add(mean(relu(sub(1, real))), mean(relu(add(made, 1)))), 0.5)
    : mul(add(mean(softplus(neg(real))), mean(softplus(made))), 0.5)

/** What a generator minimises, given the logits of what it made. */
export const generatorLoss = (made: Tensor): Tensor => neg(mean(made))

export interface Against {
  /** The loss that does without a discriminator, a scalar. */
  readonly nll: Tensor
  /** The generator's loss of the discriminator, a scalar. */
  readonly adversarial: Tensor
  /** Through which both depend on the network. */
  readonly reconstructions: Tensor
  /** Other tensors that `nll` depends on. */
  readonly besides?: readonly Tensor[]
  /** Weight of the network's last layer, where the gradients are compared. */
  readonly lastLayer: Tensor
  /** Scales the adaptive weight. */
  readonly weight: number
  /** 0 until the discriminator takes part; a scalar. */
  readonly factor: Tensor
}

/**
 * A reconstruction's loss against a discriminator, which is weighed so that its gradient at the last layer is as large as
 * that of the likelihood. Both gradients are taken once, as far as the reconstructions, and go on from there together.
 * Source: taming-transformers, vqperceptual.py, calculate_adaptive_weight.
 */
export function against(options: Against): { loss: Tensor; weight: Tensor } {
  const { nll, adversarial, reconstructions, besides = [], lastLayer, factor } = options
  const [fromNll, ...fromBesides] = grad(nll, [reconstructions, ...besides]) as [Tensor, ...Tensor[]]
  const [fromDiscriminator] = grad(adversarial, [reconstructions]) as [Tensor]
  const normOf = (gradient: Tensor) => {
    const [atLastLayer] = pullback(reconstructions, gradient, [lastLayer]) as [Tensor]
    return sqrt(sum(square(atLastLayer)))
  }
  const ratio = div(normOf(fromNll), add(normOf(fromDiscriminator), 1e-4))
  const weight = mul(minimum(maximum(ratio, 0), 1e4), options.weight)
  const share = mul(weight, factor)
  return {
    loss: withGradients(add(nll, mul(share, adversarial)), [
      [reconstructions, add(fromNll, mul(fromDiscriminator, share))],
      ...besides.map((x, i) => [x, fromBesides[i]!] as const),
    ]),
    weight,
  }
}
