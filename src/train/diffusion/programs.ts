import { inputsOf } from '../../conditioning/index.js'
import { addNoise, diffusionLoss, learnedLogvar, predictionTarget, sampleErrors } from '../../losses/diffusion.js'
import { factorOf, type ModelConfig } from '../../pipelines/model-config.js'
import { embed, predict } from '../../pipelines/networks.js'
import { batched } from '../../pipelines/programs.js'
import { mul } from '../../tensor/binary.js'
import { type Program, trace } from '../../tensor/program.js'
import { mean } from '../../tensor/reduce.js'
import { f32, i64, type Spec, type Tensor } from '../../tensor/tensor.js'
import type { DiffusionLossSettings } from './recipe.js'

/** Sizes of what a diffusion program takes. */
export interface DiffusionShapes {
  readonly batch: number
  /** [channels, height, width]. */
  readonly latents: readonly [number, number, number]
}

/**
 * The training loss as a program of clean latents `x0` and `noise` [batch, c, h, w], times `t` i64 [batch] with their
 * `alpha` and `sigma` [batch], `weights` [batch] of the samples, `bound` [batch] where the variational bound counts, and
 * the inputs of all conditions. Outputs `loss` and, where it has parts, `simple` and `vlb`. Source: ddpm.py,
 * LatentDiffusion.p_losses.
 */
export function diffusionProgram(
  config: ModelConfig,
  { batch, latents }: DiffusionShapes,
  loss: Pick<DiffusionLossSettings, 'type'> & Partial<DiffusionLossSettings>,
): Program {
  const { type, simple_weight = 1, elbo_weight = 0, learn_logvar = false, logvar_init = 0 } = loss
  const { parameterization, timesteps } = config.diffusion!
  const factor = factorOf(config)
  const place = { latents, height: latents[1] * factor, width: latents[2] * factor }
  const scalar = f32(batch)
  const specs: Record<string, Spec> = {
    x0: f32(batch, ...latents),
    noise: f32(batch, ...latents),
    t: i64(batch),
    alpha: scalar,
    sigma: scalar,
    weights: scalar,
    ...(elbo_weight > 0 && { bound: scalar }),
    ...batched(inputsOf(config.conditioning, place), batch),
  }
  return trace(specs, (at, inputs) => {
    const { x0, noise, t, alpha, sigma, weights, bound } = inputs as Record<keyof typeof inputs, Tensor>
    const diffused = { x0: x0!, noise: noise!, alpha: alpha!, sigma: sigma! }
    const output = predict(at, config, { x: addNoise(diffused), t: t!, ...embed(at, config, inputs, place) })
    const errors = sampleErrors(output, predictionTarget(parameterization, diffused), type)
    const logvar = learn_logvar ? learnedLogvar(at, t!, { timesteps, initial: logvar_init }) : undefined
    const elbo = bound && { terms: bound, weight: elbo_weight }
    return {
      loss: diffusionLoss(errors, { weights, logvar, elbo, simple: simple_weight }),
      ...((logvar || bound) && { simple: mean(errors) }),
      ...(bound && { vlb: mean(mul(bound, errors)) }),
    }
  })
}
