import { add, div, maximum, minimum, mul, sub } from '../tensor/binary.js'
import { mean as average, sum } from '../tensor/reduce.js'
import { split } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import { exp, square } from '../tensor/unary.js'

/** A normal distribution of latents, each element by itself; mean and logvar [batch, channels, h, w]. */
export interface Posterior {
  mean: Tensor
  /** Logarithm of the variance, in [-30, 20]; of what is no distribution but a point, -Infinity. */
  logvar: Tensor
}

/** The distribution that an encoder's moments [batch, 2 * channels, h, w] tell. Source: distributions.py, DiagonalGaussianDistribution. */
export function posteriorOf(moments: Tensor): Posterior {
  const [mean, logvar] = split(moments, 2, { axis: 1 }) as [Tensor, Tensor]
  return { mean, logvar: minimum(maximum(logvar, -30), 20) }
}

/** Standard deviation of the latents. */
export const deviation = ({ logvar }: Posterior): Tensor => exp(mul(logvar, 0.5))

/** Latents drawn with the given unit normal noise of their shape. */
export const sample = (posterior: Posterior, noise: Tensor): Tensor =>
  add(posterior.mean, mul(deviation(posterior), noise))

/** Kullback-Leibler divergence from the unit normal, in nats, summed over each sample: [batch]. */
export const kl = (posterior: Posterior): Tensor => mul(sum(klTerms(posterior), { axes: [1, 2, 3] }), 0.5)

/** The same as a mean over the elements of the whole batch: a scalar that does not grow with the size of the images. */
export const klPerElement = (posterior: Posterior): Tensor => mul(average(klTerms(posterior)), 0.5)

const klTerms = ({ mean, logvar }: Posterior): Tensor => sub(add(square(mean), exp(logvar)), add(logvar, 1))

/** Negative log likelihood of latents, in nats, summed over each sample: [batch]. */
export function nll({ mean, logvar }: Posterior, latents: Tensor): Tensor {
  const terms = add(add(div(square(sub(latents, mean)), exp(logvar)), logvar), Math.log(2 * Math.PI))
  return mul(sum(terms, { axes: [1, 2, 3] }), 0.5)
}
