import type { ModelPrediction } from '../diffusion/model-schedule.js'
import { add, div, mul, sub } from '../tensor/binary.js'
import { gather } from '../tensor/gather.js'
import type { Scope } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import { reshape } from '../tensor/reshape.js'
import type { Tensor } from '../tensor/tensor.js'
import { abs, exp, square } from '../tensor/unary.js'

/** Clean and noise with which training examples are made, and how much of each: latents [batch, c, h, w], alpha and sigma [batch]. */
export interface Diffused {
  x0: Tensor
  noise: Tensor
  /** Square root of the cumulative alpha at each sample's time. */
  alpha: Tensor
  /** Square root of one minus the cumulative alpha. */
  sigma: Tensor
}

/** Noisy latents, alpha x0 + sigma noise. Source: ddpm.py, q_sample. */
export const addNoise = ({ x0, noise, alpha, sigma }: Diffused): Tensor =>
  add(mul(perSample(alpha), x0), mul(perSample(sigma), noise))

/**
 * What the network should say of noisy latents; v is alpha noise - sigma x0. Sources: ddpm.py, p_losses and get_v; Liu et
 * al. 2022, "Flow Straight and Fast", eq. 1.
 */
export function predictionTarget(parameterization: ModelPrediction, { x0, noise, alpha, sigma }: Diffused): Tensor {
  if (parameterization === 'epsilon') return noise
  if (parameterization === 'x0') return x0
  if (parameterization === 'flow') return sub(noise, x0)
  return sub(mul(perSample(alpha), noise), mul(perSample(sigma), x0))
}

/** [batch] -> [batch, 1, 1, 1]. */
const perSample = (x: Tensor): Tensor => reshape(x, [...x.shape, 1, 1, 1])

/** Mean of squared or absolute differences over each sample's elements: [batch]. */
export function sampleErrors(output: Tensor, target: Tensor, kind: 'l2' | 'l1' = 'l2'): Tensor {
  const difference = sub(target, output)
  return mean(kind === 'l2' ? square(difference) : abs(difference), { axes: [1, 2, 3] })
}

export interface DiffusionLossOptions {
  /** Weight of each sample, [batch], such as that of min-SNR. */
  weights?: Tensor | undefined
  /** Learned log variance of the errors at each sample's time, [batch]: see `learnedLogvar`. */
  logvar?: Tensor | undefined
  /** Adds the variational bound: weights of its terms at each sample's time, [batch], and of the bound as a whole. */
  elbo?: { terms: Tensor; weight: number } | undefined
  /** Weight of the loss without the bound. */
  simple?: number
}

/**
 * The loss of a batch, from the mean error of each of its samples [batch]: a scalar. Source: ddpm.py, LatentDiffusion.p_losses.
 *
 * @example
 * const noisy = addNoise(diffused)
 * const output = unet(at, config, { x: noisy, t })
 * const loss = diffusionLoss(sampleErrors(output, predictionTarget('v', diffused)), { weights })
 */
export function diffusionLoss(
  errors: Tensor,
  { weights, logvar, elbo, simple = 1 }: DiffusionLossOptions = {},
): Tensor {
  const weighted = weights === undefined ? errors : mul(weights, errors)
  const loss = mul(mean(logvar === undefined ? weighted : add(div(weighted, exp(logvar)), logvar)), simple)
  return elbo === undefined ? loss : add(loss, mul(mean(mul(elbo.terms, errors)), elbo.weight))
}

/** A trained log variance for each of `timesteps` times, looked up at t i64 [batch]. Parameter `logvar`. */
export const learnedLogvar = (
  at: Scope,
  t: Tensor,
  { timesteps, initial = 0 }: { timesteps: number; initial?: number },
): Tensor => gather(at.parameter('logvar', [timesteps], { kind: 'constant', value: initial }), t)
