import { beside, type ConfigJson, type Family, linearBetas, type Parts } from './family.js'
import type { TowerWords } from './tower-words.js'

/*
 * Stable Diffusion 1 and 2. Sources: CompVis/stable-diffusion, configs/stable-diffusion/v1-inference.yaml;
 * Stability-AI/stablediffusion, configs/stable-diffusion. The second has linear projections in its transformers, which is
 * how ComfyUI tells them apart as well (comfy/supported_models.py, SD15 and SD20).
 */

const isFirst = ({ unet }: Parts): boolean => unet?.use_linear_in_transformer !== true
const hasText = ({ unet, towers }: Parts): boolean =>
  towers.length === 1 && unet?.context_dim !== undefined && unet.num_classes !== 'sequential'

/** Stable Diffusion's betas, configs of both. */
const betas = (parameterization?: string) => linearBetas(0.00085, 0.012, parameterization)

interface Kind {
  readonly name: string
  readonly title: string
  /** Of the first generation. */
  readonly first?: true
  /** Channels beside the noisy latents. */
  readonly channels: number
  /** Side of the latents that it was trained on. */
  readonly size: number
  readonly conditioning?: ConfigJson
  readonly parameterization?: 'v'
  /** Keys cannot tell it from the one before. */
  readonly byNameOnly?: true
}

const kinds: readonly Kind[] = [
  { name: 'sd1', title: 'Stable Diffusion 1', first: true, channels: 0, size: 64 },
  {
    name: 'sd1-inpainting',
    title: 'Stable Diffusion 1 for inpainting',
    first: true,
    channels: 5,
    size: 64,
    conditioning: { mask: { form: 'stable-diffusion' } },
  },
  { name: 'sd2', title: 'Stable Diffusion 2, which predicts noise', channels: 0, size: 64 },
  {
    name: 'sd2-v',
    title: 'Stable Diffusion 2, which predicts v',
    channels: 0,
    size: 96,
    parameterization: 'v',
    byNameOnly: true,
  },
  {
    name: 'sd2-inpainting',
    title: 'Stable Diffusion 2 for inpainting',
    channels: 5,
    size: 64,
    conditioning: { mask: { form: 'stable-diffusion' } },
  },
  {
    name: 'sd2-depth',
    title: 'Stable Diffusion 2 by depth',
    channels: 1,
    size: 64,
    conditioning: { depth: {} },
  },
]

const stableDiffusion = (kind: Kind): Family => ({
  name: kind.name,
  title: kind.title,
  needs: ['unet', 'stage'],
  fits: parts =>
    hasText(parts) &&
    parts.unet!.num_classes === undefined &&
    beside(parts) === kind.channels &&
    isFirst(parts) === (kind.first === true) &&
    kind.byNameOnly === undefined,
  config: parts => ({
    first_stage_config: parts.stage,
    scale_factor: 0.18215,
    unet_config: {
      image_size: kind.size,
      ...parts.unet,
      ...(kind.first ? { num_heads: 8 } : { num_head_channels: 64 }),
    },
    conditioning: { clip_text: kind.first ? firstText(parts) : secondText(parts), ...kind.conditioning },
    diffusion: betas(kind.parameterization),
  }),
})

/** The x4 upscaler, configs/stable-diffusion/x4-upscaling.yaml: a small picture beside the latents, its noise as a class. */
const upscaler: Family = {
  name: 'sd-x4-upscaler',
  title: 'Stable Diffusion x4 upscaler',
  needs: ['unet', 'stage'],
  fits: parts => hasText(parts) && typeof parts.unet!.num_classes === 'number' && beside(parts) === 3,
  config: parts => ({
    first_stage_config: parts.stage,
    scale_factor: 0.08333,
    unet_config: { image_size: 128, ...parts.unet, num_heads: 8 },
    conditioning: { clip_text: secondText(parts), low_resolution: { factor: 4, noise_augmentation: 350 } },
    diffusion: linearBetas(1e-4, 2e-2, 'v'),
  }),
}

export const stableDiffusions: readonly Family[] = [...kinds.map(stableDiffusion), upscaler]

/** FrozenCLIPEmbedder: the last layer. */
const firstText = ({ towers: [tower] }: Parts): ConfigJson => ({
  ...tower,
  ...activation(tower),
  layer: 'last',
  padding: 'end',
})

/** OpenCLIP's towers have gelu, which is theirs by default; by the names of Hugging Face it has to be said. */
export const activation = (tower: TowerWords | undefined, gelu = false): ConfigJson =>
  tower !== undefined && 'hidden_size' in tower ? { hidden_act: gelu ? 'gelu' : 'quick_gelu' } : {}

/**
 * FrozenOpenCLIPEmbedder: the layer before the last, normalised. Files that were written from diffusers' have lost the last
 * of OpenCLIP-H's 24 layers.
 */
function secondText({ towers: [tower] }: Parts): ConfigJson {
  const layers = tower && ('layers' in tower ? tower.layers : tower.num_hidden_layers)
  return { ...tower, ...activation(tower, true), layer: layers === 23 ? 'last' : 'penultimate', padding: 'zero' }
}
