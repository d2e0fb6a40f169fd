import { downsamplingFactor } from '../autoencoder/config.js'
import { sample } from '../autoencoder/posterior.js'
import { reconstructionLoss } from '../losses/autoencoder.js'
import { perceptualDistance } from '../perceptual/distance.js'
import { modelConfig } from '../pipelines/model-config.js'
import { decodeFirstStage, encodeImages } from '../pipelines/networks.js'
import { type Program, type Scope, trace } from '../tensor/program.js'
import { f32, type Tensor } from '../tensor/tensor.js'
import type { AutoencoderRecipe } from './autoencoder-recipe.js'

/**
 * The loss of a batch of images [batch, 3, size, size] as a program: outputs `loss`, `l1`, `perceptual` (if weighed) and
 * `kl`. With `noise` the latents are drawn, as in training; without, they are the posterior's mean, and the
 * `reconstructions` come out as well.
 */
export function autoencoderProgram(
  recipe: AutoencoderRecipe,
  batch: number,
  size: number,
  mode: 'train' | 'evaluate',
): Program {
  const config = modelConfig.parse({ first_stage_config: recipe.first_stage_config })
  const { perceptual_weight: perceptualWeight, kl_weight: klWeight } = recipe.loss
  const { ddconfig, embed_dim } = recipe.first_stage_config
  const images = f32(batch, ddconfig.in_channels, size, size)
  const build = (at: Scope, images: Tensor, noise?: Tensor) => {
    const posterior = encodeImages(at, config, images)
    const reconstructions = decodeFirstStage(at, config, noise ? sample(posterior, noise) : posterior.mean)
    const distance = perceptualWeight > 0 ? perceptualDistance(at('perceptual'), reconstructions, images) : undefined
    const losses = reconstructionLoss({ images, reconstructions, posterior, distance }, { perceptualWeight, klWeight })
    return noise ? { ...losses } : { ...losses, reconstructions }
  }
  if (mode === 'evaluate') return trace({ images }, (at, inputs) => build(at, inputs.images))
  const side = size / downsamplingFactor(ddconfig)
  return trace({ images, noise: f32(batch, embed_dim, side, side) }, (at, inputs) =>
    build(at, inputs.images, inputs.noise),
  )
}
