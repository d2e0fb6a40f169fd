import { type DiscriminatorConfig, discriminator, normInit } from '../../autoencoder/discriminator.js'
import { reconstruct } from '../../autoencoder/first-stage.js'
import { discriminatorLoss } from '../../losses/adversarial.js'
import { actNorm, actNormStart } from '../../nn/act-norm.js'
import { batchNorms, type RunningStatistics } from '../../nn/batch-norm.js'
import { mul } from '../../tensor/binary.js'
import { type Program, type Scope, trace } from '../../tensor/program.js'
import { mean } from '../../tensor/reduce.js'
import type { Tensor } from '../../tensor/tensor.js'
import {
  afterName,
  discriminatorConfigOf,
  discriminatorScope,
  type FirstStageTraining,
  type Sides,
  stageScope,
  stepInputs,
} from './training.js'

/** A discriminator's logits of images, and its running statistics after them. */
export function judge(
  at: Scope,
  config: DiscriminatorConfig,
  images: Tensor,
  running: RunningStatistics,
): { logits: Tensor; after: RunningStatistics } {
  const { normalise, after } = config.use_actnorm
    ? { normalise: actNorm, after: {} }
    : batchNorms(running, { init: normInit })
  return { logits: discriminator(at(discriminatorScope), config, images, normalise), after }
}

/** Running statistics as outputs of a program. */
export const outputsOf = (statistics: RunningStatistics): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(statistics).map(([name, tensor]) => [afterName(name), tensor]))

/**
 * The discriminator's loss of a batch, which the autoencoder reconstructs anew with the weights that it has by then. Real
 * images and reconstructions are normalised apart, in this order. Source: contperceptual.py, optimizer_idx 1.
 */
export const discriminatorProgram = (training: FirstStageTraining, batch: number, sides: Sides): Program =>
  ofReconstructions(training, batch, sides, (at, config, reconstructions, { images, disc_factor, ...running }) => {
    const real = judge(at, config, images!, running)
    const made = judge(at, config, reconstructions, { ...running, ...real.after })
    const loss = mul(discriminatorLoss(training.loss.disc_loss, real.logits, made.logits), disc_factor!)
    return {
      loss,
      disc_loss: loss,
      logits_real: mean(real.logits),
      logits_fake: mean(made.logits),
      ...outputsOf(made.after),
    }
  })

/** Where ActNorm starts, by the first reconstructions: its `loc` and `scale` parameters by name. */
export const actNormStartProgram = (training: FirstStageTraining, batch: number, sides: Sides): Program =>
  ofReconstructions(training, batch, sides, (at, config, reconstructions) => {
    const { normalise, start } = actNormStart()
    discriminator(at(discriminatorScope), config, reconstructions, normalise)
    return start
  })

function ofReconstructions(
  training: FirstStageTraining,
  batch: number,
  sides: Sides,
  build: (
    at: Scope,
    config: DiscriminatorConfig,
    reconstructions: Tensor,
    inputs: Record<string, Tensor>,
  ) => Record<string, Tensor>,
): Program {
  const config = discriminatorConfigOf(training)
  if (config === undefined) throw new TypeError('The loss has no discriminator: disc_start is missing')
  return trace(stepInputs(training, batch, sides), (at, inputs) => {
    const { images } = reconstruct(at(stageScope), training.first_stage_config, inputs.images!, { noise: inputs.noise })
    return build(at, config, images, inputs)
  })
}
