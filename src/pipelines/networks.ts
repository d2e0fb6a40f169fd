import { hasSpread, latentChannels } from '../autoencoder/config.js'
import { decodeFirstStage as decode, encodeFirstStage as encode } from '../autoencoder/first-stage.js'
import { deviation, type Posterior, sample } from '../autoencoder/posterior.js'
import { type Conditioned, embedConditions, type Place } from '../conditioning/index.js'
import { add, div, mul, sub } from '../tensor/binary.js'
import { constant } from '../tensor/constant.js'
import type { Scope } from '../tensor/program.js'
import { reshape, unsqueeze } from '../tensor/reshape.js'
import { concat, split } from '../tensor/slice.js'
import type { Tensor } from '../tensor/tensor.js'
import type { UnetChange } from '../unet/changes.js'
import type { UnetConfig } from '../unet/config.js'
import { controlNet } from '../unet/control-net.js'
import { imageAttention } from '../unet/image-attention.js'
import { mapFeatures } from '../unet/map-features.js'
import { type UnetInputs, unet } from '../unet/unet.js'
import { channelValues, type ModelConfig } from './model-config.js'

/** Distribution of the first stage's latents for images [batch, 3, h, w] in [-1, 1]. */
export const encodeImages = (at: Scope, config: ModelConfig, images: Tensor): Posterior =>
  encode(at('first_stage_model'), config.first_stage_config, images)

/** Means of the latents of images as the diffusion model has them and, as further channels where there are such, their deviations. */
export function modelMoments(at: Scope, config: ModelConfig, images: Tensor): Tensor {
  const posterior = encodeImages(at, config, images)
  const mean = toModelScale(config, posterior.mean)
  if (!hasSpread(config.first_stage_config)) return mean
  return concat([mean, mul(deviation(posterior), factor(config, 'scale_factor'))], { axis: 1 })
}

/** Latents of images as the diffusion model has them: their means, or drawn about these by unit normal noise of their shape. */
const modelLatents = (at: Scope, config: ModelConfig, images: Tensor, noise?: Tensor): Tensor => {
  const posterior = encodeImages(at, config, images)
  return toModelScale(config, noise ? sample(posterior, noise) : posterior.mean)
}

/** The same of what `modelMoments` tells of images. */
function latentsOfMoments(config: ModelConfig, moments: Tensor, noise?: Tensor): Tensor {
  if (!hasSpread(config.first_stage_config)) return moments
  const [mean, deviation] = split(moments, 2, { axis: 1 }) as [Tensor, Tensor]
  return noise ? add(mean, mul(deviation, noise)) : mean
}

/** Images of the first stage's own latents [batch, channels, h, w]. */
export const decodeFirstStage = (at: Scope, config: ModelConfig, latents: Tensor): Tensor =>
  decode(at('first_stage_model'), config.first_stage_config, latents)

/** Images of the diffusion model's latents, which are shifted and scaled. */
export const decodeLatents = (at: Scope, config: ModelConfig, latents: Tensor): Tensor =>
  decodeFirstStage(at, config, fromModelScale(config, latents))

/** Latents of the first stage as the diffusion model has them. */
const toModelScale = (config: ModelConfig, latents: Tensor): Tensor =>
  mul(sub(latents, factor(config, 'shift_factor')), factor(config, 'scale_factor'))

/** Latents of the diffusion model as the first stage has them. */
const fromModelScale = (config: ModelConfig, latents: Tensor): Tensor =>
  add(div(latents, factor(config, 'scale_factor')), factor(config, 'shift_factor'))

const factor = (config: ModelConfig, name: 'scale_factor' | 'shift_factor'): Tensor => {
  const channels = latentChannels(config.first_stage_config)
  return constant(channelValues(config[name], channels), [1, channels, 1, 1])
}

/** What the conditions of a model become in its network, from their inputs; pictures may be their moments. */
export const embed = (
  at: Scope,
  config: ModelConfig,
  inputs: Record<string, Tensor>,
  { moments = false, ...place }: Place & { readonly moments?: boolean },
): Conditioned =>
  embedConditions(at, config.conditioning, inputs, {
    place,
    encode: (images, noise) =>
      moments ? latentsOfMoments(config, images, noise) : modelLatents(at, config, images, noise),
  })

/** What the diffusion model predicts of noisy latents [batch, channels, h, w] at times [batch]. */
export function predict(
  at: Scope,
  config: ModelConfig,
  { x, t, context, concat: beside, y, hint, strength, ...others }: { x: Tensor; t: Tensor } & Conditioned,
  changes: readonly UnetChange[] = [],
): Tensor {
  if (config.unet_config === undefined) throw new TypeError('predict: the model is a first stage alone, without a UNet')
  const inputs = { x: beside ? concat([x, beside], { axis: 1 }) : x, t, context, y }
  const control = hint && controls(at, config.unet_config, inputs, hint, strength!)
  const all = [...conditionChanges(at, config.unet_config, others), ...changes]
  return unet(at('model.diffusion_model'), config.unet_config, { ...inputs, control, changes: all })
}

/** What conditions change within the network: features of maps are added, tokens of a picture attended to. */
function conditionChanges(at: Scope, config: UnetConfig, given: Conditioned): UnetChange[] {
  const { imageTokens, imageStrength } = given
  // Stable Diffusion XL's adapters have one more for the middle.
  const features = [...config.channel_mult, 'middle'].flatMap((_, level) => given[`feature_${level}`] ?? [])
  return [
    ...(features.length > 0 ? [mapFeatures(config, features)] : []),
    ...(imageTokens ? [imageAttention(at(pictureScope), imageTokens, unsqueeze(unsqueeze(imageStrength!, 2), 3))] : []),
  ]
}

/** Where the keys and values of pictures have their parameters. */
export const pictureScope = 'ip_adapter'

/** Where a model's i-th ControlNet has its parameters; the first as in the original's checkpoints. */
export const controlScope = (i: number): string => (i === 0 ? 'control_model' : `control_model_${i + 1}`)

/** What ControlNets add together, each by its hint's strengths [batch, each, places]. */
function controls(at: Scope, config: UnetConfig, inputs: UnetInputs, hint: Tensor, strength: Tensor): Tensor[] {
  const [batch, count, places] = strength.shape as [number, number, number]
  const strengths = split(reshape(strength, [batch, count * places, 1, 1]), count * places, { axis: 1 })
  const all = split(hint, count, { axis: 1 }).map((hint, i) => {
    const own = strengths.slice(i * places, (i + 1) * places)
    return controlNet(at(controlScope(i)), config, { ...inputs, hint, strength: own })
  })
  return all.reduce((sum, next) => sum.map((h, i) => add(h, next[i]!)))
}
