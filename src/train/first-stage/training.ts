import { type AutoencoderConfig, downsamplingFactor, hasCodebook, type VqConfig } from '../../autoencoder/config.js'
import { type DiscriminatorConfig, normWidths } from '../../autoencoder/discriminator.js'
import type { Size } from '../../image/index.js'
import type { HostTensors } from '../../runtime/index.js'
import { f32, type Spec } from '../../tensor/tensor.js'
import type { CodebookSettings, FirstStageLoss } from './loss.js'

/** What of a recipe the programs of a first stage are made of. */
export interface FirstStageTraining {
  readonly first_stage_config: AutoencoderConfig | VqConfig
  readonly loss: FirstStageLoss
  readonly codebook?: CodebookSettings | undefined
  /** Channels of the perceptual network's stages where they are not the published ones. */
  readonly perceptualWidths?: readonly number[]
}

/** The scopes of the networks, as in the original's checkpoints. */
export const stageScope = 'first_stage_model'
export const discriminatorScope = 'loss.discriminator'

export function discriminatorConfigOf(training: FirstStageTraining): DiscriminatorConfig | undefined {
  const { disc_start, disc_ndf, disc_num_layers, use_actnorm } = training.loss
  if (disc_start === undefined) return undefined
  const { out_ch } = training.first_stage_config.ddconfig
  return { in_channels: out_ch, ndf: disc_ndf, n_layers: disc_num_layers, use_actnorm }
}

/** The discriminator's running statistics by name, with their numbers of channels. */
export function statisticsOf(training: FirstStageTraining): Record<string, number> {
  const config = discriminatorConfigOf(training)
  if (config === undefined) return {}
  return Object.fromEntries(
    [...normWidths(config)].flatMap(([path, channels]) =>
      ['running_mean', 'running_var'].map(name => [`${discriminatorScope}.${path}.${name}`, channels] as const),
    ),
  )
}

/** The output that holds a running statistic after a program: a graph's outputs cannot have the names of its inputs. */
export const afterName = (statistic: string): string => `after:${statistic}`

/** Pixels of the images of a batch: both sides, or one of squares. */
export type Sides = number | Size

export const sidesOf = (sides: Sides): Size => (typeof sides === 'number' ? { width: sides, height: sides } : sides)

/** Of a step's inputs. */
export function sidesOfImages({ images }: HostTensors): Size {
  const [, , height, width] = images!.shape as [number, number, number, number]
  return { width, height }
}

/** What the programs of a training step take; `disc_factor` is 0 until the discriminator takes part. */
export function stepInputs(training: FirstStageTraining, batch: number, sides: Sides): Record<string, Spec> {
  const { ddconfig, embed_dim } = training.first_stage_config
  const { width, height } = sidesOf(sides)
  const f = downsamplingFactor(ddconfig)
  const statistics = Object.entries(statisticsOf(training)).map(([name, channels]) => [name, f32(channels)] as const)
  return {
    images: f32(batch, ddconfig.in_channels, height, width),
    ...(!hasCodebook(training.first_stage_config) && { noise: f32(batch, embed_dim, height / f, width / f) }),
    ...(training.loss.disc_start !== undefined && { disc_factor: f32() }),
    ...Object.fromEntries(statistics),
  }
}
