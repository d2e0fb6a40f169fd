import { add, mul } from '../tensor/binary.js'
import { batchNorm, batchNormInference } from '../tensor/normalize.js'
import type { Scope } from '../tensor/program.js'
import { sizeOf } from '../tensor/shape.js'
import type { Initialiser, Tensor } from '../tensor/tensor.js'
import { ones, zeros } from './initialisers.js'

/** A normalisation of [batch, channels, h, w] with the parameters of a place. */
export type Normalise = (at: Scope, x: Tensor) => Tensor

/** Running statistics by key, `<path>.running_mean` and `<path>.running_var`, [channels] each. */
export type RunningStatistics = Readonly<Record<string, Tensor>>

export interface BatchNormOptions {
  /** Share of the newest batch in the running statistics. */
  readonly momentum?: number
  readonly epsilon?: number
  /** How the weight starts. */
  readonly init?: Initialiser
}

/**
 * Batch normalisation in training: by the batch's own statistics. Running ones go in and come out, in `after`, once the
 * network has been built; a second batch takes those of the first. Source: torch.nn.BatchNorm2d.
 *
 * @example
 * const real = batchNorms(running)
 * const logits = discriminator(at, config, images, real.normalise)
 * const fake = batchNorms(real.after)
 */
export function batchNorms(
  before: RunningStatistics,
  { momentum = 0.1, epsilon = 1e-5, init = ones }: BatchNormOptions = {},
): { normalise: Normalise; after: RunningStatistics } {
  const after: Record<string, Tensor> = {}
  const normalise: Normalise = (at, x) => {
    const { weight, bias } = affine(at, x, init)
    const { output, mean, variance } = batchNorm(x, weight, bias, { epsilon })
    const count = sizeOf(x.shape) / x.shape[1]!
    const run = (name: string, now: Tensor) => add(mul(statistic(before, at, name), 1 - momentum), mul(now, momentum))
    after[`${at.path}.running_mean`] = run('running_mean', mean)
    // The batch is normalised by its own variance, the running one is an estimate of the data's.
    after[`${at.path}.running_var`] = run('running_var', mul(variance, count / (count - 1)))
    return output
  }
  return { normalise, after }
}

/** Batch normalisation in inference: by running statistics. */
export const batchNormsBy =
  (running: RunningStatistics, { epsilon = 1e-5, init = ones }: BatchNormOptions = {}): Normalise =>
  (at, x) => {
    const { weight, bias } = affine(at, x, init)
    const [mean, variance] = ['running_mean', 'running_var'].map(name => statistic(running, at, name))
    return batchNormInference(x, weight, bias, mean!, variance!, { epsilon })
  }

const affine = (at: Scope, x: Tensor, init: Initialiser) => ({
  weight: at.parameter('weight', [x.shape[1]!], init),
  bias: at.parameter('bias', [x.shape[1]!], zeros),
})

function statistic(running: RunningStatistics, at: Scope, name: string): Tensor {
  const found = running[`${at.path}.${name}`]
  if (found === undefined) throw new RangeError(`batch norm: no running statistics "${at.path}.${name}"`)
  return found
}
