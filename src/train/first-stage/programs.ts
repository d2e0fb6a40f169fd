import type { AutoencoderConfig, VqConfig } from '../../autoencoder/config.js'
import { reconstruct } from '../../autoencoder/first-stage.js'
import { kl, klPerElement } from '../../autoencoder/posterior.js'
import { codeCounts, codeUse, type Quantized } from '../../autoencoder/vq.js'
import { against, generatorLoss } from '../../losses/adversarial.js'
import { likelihood, reconstructionError } from '../../losses/autoencoder.js'
import { perceptualDistance } from '../../perceptual/distance.js'
import { lpips } from '../../perceptual/lpips.js'
import { add, mul } from '../../tensor/binary.js'
import { constant } from '../../tensor/constant.js'
import { scatterAdd } from '../../tensor/gather.js'
import { type Program, type Scope, trace } from '../../tensor/program.js'
import { mean } from '../../tensor/reduce.js'
import { reshape } from '../../tensor/reshape.js'
import { f32, type Tensor } from '../../tensor/tensor.js'
import { judge, outputsOf } from './adversary-programs.js'
import type { CodebookSettings, FirstStageLoss } from './loss.js'
import {
  discriminatorConfigOf,
  type FirstStageTraining,
  type Sides,
  sidesOf,
  stageScope,
  stepInputs,
} from './training.js'

/** Names of outputs with which a codebook is moved from outside: how often codes were chosen, sums and all of the latents. */
export const codebookOutputs = { counts: 'code_counts', sums: 'code_sums', rows: 'code_rows' } as const

/**
 * The loss of a batch of images [batch, 3, height, width] as a program: output `loss` and its parts, scalars. In training a
 * KL autoencoder takes `noise`, by which latents are drawn, and where there is a discriminator its running statistics go
 * in and come out. In evaluation latents are the posterior's mean, and the `reconstructions` come out as well.
 */
export function autoencoderProgram(
  training: FirstStageTraining,
  batch: number,
  sides: Sides,
  mode: 'train' | 'evaluate',
): Program {
  const { first_stage_config: stage, loss: settings, codebook } = training
  const train = mode === 'train'
  const adversary = train ? discriminatorConfigOf(training) : undefined
  const { width, height } = sidesOf(sides)
  const evaluated = { images: f32(batch, stage.ddconfig.in_channels, height, width) }
  return trace(train ? stepInputs(training, batch, sides) : evaluated, (at, inputs) => {
    const { images, noise, disc_factor } = inputs as { images: Tensor; noise?: Tensor; disc_factor?: Tensor }
    const learned = codebook?.ema === undefined
    const made = reconstruct(at(stageScope), stage, images, { noise, learned })
    const reconstructions = at(stageScope)('decoder').mark(made.images)
    const distance = perceptual(at, training, images, reconstructions)
    const {
      error,
      pixels,
      perceptual: looks,
    } = reconstructionError(
      { images, reconstructions, distance },
      { pixelLoss: settings.pixel_loss, perceptualWeight: settings.perceptual_weight },
    )
    const logvar = logvarOf(at, settings)
    const elements = settings.reduction === 'sum' ? images.shape.slice(1).reduce((a, b) => a * b) : 1
    const nll = likelihood(error, elements, logvar)

    const terms: Record<string, Tensor> = {
      [settings.pixel_loss]: pixels,
      ...(looks && { perceptual: looks }),
      ...(elements > 1 && { nll }),
      ...(settings.learn_logvar && { logvar }),
    }
    let loss = nll
    if (adversary) {
      const { logits, after } = judge(at, adversary, reconstructions, inputs)
      const adversarial = generatorLoss(logits)
      const weighed = against({
        nll,
        adversarial,
        reconstructions,
        besides: settings.learn_logvar ? [logvar] : [],
        lastLayer: lastLayerOf(at, stage),
        weight: settings.disc_weight,
        factor: disc_factor!,
      })
      loss = weighed.loss
      Object.assign(terms, { g_loss: adversarial, d_weight: weighed.weight }, outputsOf(after))
    }
    if (made.posterior) {
      const divergence = settings.reduction === 'sum' ? mean(kl(made.posterior)) : klPerElement(made.posterior)
      terms.kl = divergence
      loss = add(loss, mul(divergence, settings.kl_weight))
    }
    if (made.quantized) {
      Object.assign(terms, codebookTerms(made.quantized, stage as VqConfig, train ? (codebook ?? {}) : undefined))
      loss = add(loss, mul(made.quantized.codebookLoss, settings.codebook_weight))
    }
    return { loss, ...terms, ...(!train && { reconstructions }) }
  })
}

/** How differently two batches of images look by the network that the loss names: [batch]; undefined where it weighs nothing. */
function perceptual(
  at: Scope,
  { loss: { perceptual_loss, perceptual_weight }, perceptualWidths }: FirstStageTraining,
  images: Tensor,
  reconstructions: Tensor,
): Tensor | undefined {
  if (perceptual_weight === 0) return undefined
  const here = at('perceptual')
  return perceptual_loss === 'squeezenet'
    ? perceptualDistance(here, reconstructions, images)
    : lpips(here, reconstructions, images, { network: perceptual_loss, widths: perceptualWidths })
}

const logvarOf = (at: Scope, { learn_logvar, logvar_init }: FirstStageLoss): Tensor =>
  learn_logvar ? at('loss').parameter('logvar', [], { kind: 'constant', value: logvar_init }) : constant(logvar_init)

/** The weight of the decoder's last convolution, which the decoder has asked for before. */
const lastLayerOf = (at: Scope, { ddconfig: { out_ch, ch, ch_mult } }: AutoencoderConfig | VqConfig): Tensor =>
  at(stageScope)('decoder.conv_out').parameter('weight', [out_ch, ch * ch_mult[0]!, 3, 3], {
    kind: 'constant',
    value: 0,
  })

function codebookTerms(
  { codebookLoss, indices, rows }: Quantized,
  { n_embed }: VqConfig,
  training: CodebookSettings | undefined,
): Record<string, Tensor> {
  const counts = codeCounts(indices, n_embed)
  // How widely codes are used is a matter of all batches together.
  if (training === undefined) return { codebook: codebookLoss, [codebookOutputs.counts]: counts }
  const { perplexity, usage } = codeUse(counts)
  const flat = reshape(indices, [rows.shape[0]!])
  const { ema, revive_after } = training
  return {
    codebook: codebookLoss,
    perplexity,
    code_usage: usage,
    ...((ema || revive_after) && { [codebookOutputs.counts]: counts }),
    ...(ema && { [codebookOutputs.sums]: scatterAdd(flat, rows, n_embed) }),
    ...(revive_after && { [codebookOutputs.rows]: rows }),
  }
}
