import type { ConditioningConfig } from '../../conditioning/index.js'

const nothing = [null, null] as const

/** Which pipeline of diffusers a model is made for, by what it is conditioned on, and what else that needs. */
export function pipelineOf(conditioning: ConditioningConfig | undefined): {
  index: Record<string, unknown>
  configs: Record<string, Record<string, unknown>>
} {
  const { clip_text: text, mask, depth, low_resolution, sizes } = conditioning ?? {}
  const own = {
    unet: ['diffusers', 'UNet2DConditionModel'],
    vae: ['diffusers', 'AutoencoderKL'],
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
