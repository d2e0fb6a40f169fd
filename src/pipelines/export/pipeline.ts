import type { ConditioningConfig } from '../../conditioning/index.js'
import { bertPieces } from '../../weights/families/index.js'
import type { ModelConfig } from '../model-config.js'
import { oneScale } from './exported.js'

const nothing = [null, null] as const

/** A pipeline of diffusers. */
interface Pipeline {
  /** Its part of the first stage. */
  readonly stage: 'vae' | 'vqvae'
  readonly index: Record<string, unknown>
  /** Configurations of what else it needs. */
  readonly configs: Record<string, Record<string, unknown>>
}

/**
 * Which pipeline of diffusers a model is made for, by what it is conditioned on, and what else that needs.
 *
 * Throws RangeError where there is none that tells the network what it is conditioned on.
 *
 * @param stage configuration of the first stage
 */
export function pipelineOf(config: ModelConfig, stage: Readonly<Record<string, unknown>>): Pipeline {
  const conditions = Object.keys(config.conditioning ?? {})
  const isPlain = !config.unet_config!.use_spatial_transformer
  const isBert = config.conditioning?.text?.vocab_size === bertPieces
  if (isPlain || isBert) {
    const [condition = 'none'] = conditions
    const name = pipelines[condition as keyof typeof pipelines]
    if (name === undefined || conditions.length > 1)
      throw new RangeError(`it has no pipeline for a model of latent diffusion by ${conditions.join(' and ')}`)
    if (condition === 'low_resolution' && oneScale(config) !== 1)
      throw new RangeError(`${name} does not scale latents, as this model does`)
    return {
      stage: 'vqvae',
      index: {
        _class_name: name,
        unet: ['diffusers', isPlain ? 'UNet2DModel' : 'UNet2DConditionModel'],
        vqvae: ['diffusers', stage._class_name],
        scheduler: ['diffusers', 'DDIMScheduler'],
      },
      configs: {},
    }
  }
  return { stage: 'vae', ...stableDiffusion(config, stage) }
}

/** Of latent diffusion, by the condition. */
const pipelines = {
  none: 'LDMPipeline',
  text: 'LDMTextToImagePipeline',
  low_resolution: 'LDMSuperResolutionPipeline',
} as const

type Told = keyof ConditioningConfig
/** What pipelines of Stable Diffusion tell a network; what own text encoders make of texts is handed in. */
const told: readonly Told[] = ['clip_text', 'text', 'mask', 'depth', 'low_resolution', 'sizes']

function stableDiffusion(
  { conditioning = {} }: ModelConfig,
  stage: Readonly<Record<string, unknown>>,
): Pick<Pipeline, 'index' | 'configs'> {
  const { clip_text: text, mask, depth, low_resolution, sizes } = conditioning
  const other = Object.keys(conditioning).find(name => !told.includes(name as Told))
  if (other !== undefined || mask?.form === 'ldm')
    throw new RangeError(`it has no pipeline for a model of latent diffusion by ${other ?? 'mask'}`)
  const own = {
    unet: ['diffusers', 'UNet2DConditionModel'],
    vae: ['diffusers', stage._class_name],
    scheduler: ['diffusers', 'DDIMScheduler'],
  }
  const checked = { safety_checker: nothing, feature_extractor: nothing, requires_safety_checker: false }
  const texts = { text_encoder: nothing, tokenizer: nothing }
  if (sizes) {
    const isRefiner = text !== undefined && 'embedders' in text && text.embedders.length === 1
    const name = isRefiner ? 'Img2Img' : mask ? 'Inpaint' : ''
    return {
      index: {
        _class_name: `StableDiffusionXL${name}Pipeline`,
        ...own,
        ...texts,
        text_encoder_2: nothing,
        tokenizer_2: nothing,
        force_zeros_for_empty_prompt: !isRefiner,
        ...(isRefiner && { requires_aesthetics_score: true }),
      },
      configs: {},
    }
  }
  if (low_resolution)
    return {
      index: {
        _class_name: 'StableDiffusionUpscalePipeline',
        ...own,
        ...texts,
        low_res_scheduler: ['diffusers', 'DDPMScheduler'],
        max_noise_level: low_resolution.noise_augmentation ?? 0,
      },
      configs: { 'low_res_scheduler/scheduler_config.json': noisedBefore },
    }
  if (depth)
    return {
      index: {
        _class_name: 'StableDiffusionDepth2ImgPipeline',
        ...own,
        ...texts,
        depth_estimator: nothing,
        feature_extractor: nothing,
      },
      configs: {},
    }
  return {
    index: {
      _class_name: `StableDiffusion${mask ? 'Inpaint' : ''}Pipeline`,
      ...own,
      ...texts,
      ...checked,
      image_encoder: nothing,
    },
    configs: {},
  }
}

/** By which the small picture is noised: x4-upscaling.yaml, low_scale_config. */
const noisedBefore = {
  _class_name: 'DDPMScheduler',
  beta_start: 1e-4,
  beta_end: 2e-2,
  beta_schedule: 'scaled_linear',
  clip_sample: true,
  num_train_timesteps: 1000,
  prediction_type: 'epsilon',
}
