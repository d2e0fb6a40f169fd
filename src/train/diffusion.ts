import { addNoise, diffusionLoss, predictionTarget, sampleErrors } from '../losses/diffusion.js'
import type { ModelConfig } from '../pipelines/model-config.js'
import { encodeText, predict } from '../pipelines/networks.js'
import { type Program, trace } from '../tensor/program.js'
import { f32, i64, type Spec, type Tensor } from '../tensor/tensor.js'

/** Sizes of what a diffusion program takes. */
export interface DiffusionShapes {
  readonly batch: number
  /** [channels, height, width]. */
  readonly latents: readonly [number, number, number]
}

/**
 * The training loss as a program of clean latents `x0` and `noise` [batch, c, h, w], times `t` i64 [batch] with their
 * `alpha` and `sigma` [batch], token ids `tokens` i64 [batch, length] where the model takes text, and `weights` [batch]
 * of the samples. Source: ddpm.py, LatentDiffusion.p_losses.
 */
export function diffusionProgram(
  config: ModelConfig,
  { batch, latents }: DiffusionShapes,
  { type }: { type: 'l2' | 'l1' },
): Program {
  const scalar = f32(batch)
  const text = config.cond_stage_config
  const specs: Record<string, Spec> = {
    x0: f32(batch, ...latents),
    noise: f32(batch, ...latents),
    t: i64(batch),
    alpha: scalar,
    sigma: scalar,
    weights: scalar,
    ...(text && { tokens: i64(batch, text.max_seq_len) }),
  }
  return trace(specs, (at, inputs) => {
    const { x0, noise, t, alpha, sigma, weights, tokens } = inputs as Record<keyof typeof inputs, Tensor>
    const diffused = { x0: x0!, noise: noise!, alpha: alpha!, sigma: sigma! }
    const output = predict(at, config, {
      x: addNoise(diffused),
      t: t!,
      context: tokens && encodeText(at, config, tokens),
    })
    const target = predictionTarget(config.diffusion!.parameterization, diffused)
    return { loss: diffusionLoss(sampleErrors(output, target, type), { weights }) }
  })
}
