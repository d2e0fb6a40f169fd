import { beside, type ConfigJson, type Family, linearBetas, type Parts } from './family.js'
import { activation } from './stable-diffusion.js'
import type { TowerWords } from './tower-words.js'

/*
 * Stable Diffusion XL. Source: Stability-AI/generative-models, configs/inference/sd_xl_base.yaml and sd_xl_refiner.yaml.
 */

/** CLIP's hidden state before its last layer; OpenCLIP's likewise and its pooled text. Neither is normalised. */
const clip = (tower: TowerWords | undefined): ConfigJson => ({
  ...withoutProjection(tower),
  ...activation(tower),
  layer: 'penultimate',
  normalised: false,
  padding: 'end',
})
const openClip = (tower: TowerWords | undefined): ConfigJson => ({
  ...tower,
  ...activation(tower, true),
  layer: 'penultimate',
  normalised: false,
  pooled: true,
  padding: 'zero',
})

/** Some files keep a projection of the first encoder that nothing takes. */
function withoutProjection(tower: TowerWords | undefined): TowerWords | undefined {
  if (tower === undefined || !('projection_dim' in tower)) return tower
  const { projection_dim: _, ...rest } = tower
  return rest
}

const outdim = 256
const widthOf = (tower: TowerWords | undefined): number =>
  tower === undefined ? 0 : 'hidden_size' in tower ? (tower.projection_dim ?? tower.hidden_size) : tower.embed_dim

/** Whether the UNet is told the pooled text and so many sizes, and nothing else: unCLIP's is told of a picture. */
const isTold = ({ unet, towers }: Parts, sizes: number): boolean =>
  unet?.num_classes === 'sequential' && unet.adm_in_channels === widthOf(towers.at(-1)) + sizes * outdim

/** Playground 2.5 and CosXL have the networks of XL and other noise levels; comfy/supported_models.py, SDXL. */
const hasOtherLevels = ({ names }: Parts): boolean => names.has('edm_mean') || names.has('edm_vpred')

const isBase = (parts: Parts): boolean => parts.towers.length === 2 && isTold(parts, 6) && !hasOtherLevels(parts)

interface Kind {
  readonly name: string
  readonly title: string
  readonly size: number
  fits(parts: Parts): boolean
  readonly last?: 'aesthetic_score'
  readonly conditioning?: ConfigJson
}

const kinds: readonly Kind[] = [
  { name: 'sdxl', title: 'Stable Diffusion XL', size: 128, fits: parts => isBase(parts) && beside(parts) === 0 },
  {
    name: 'sdxl-inpainting',
    title: 'Stable Diffusion XL for inpainting',
    size: 128,
    fits: parts => isBase(parts) && beside(parts) === 5,
    conditioning: { mask: { form: 'stable-diffusion' } },
  },
  // Of the same keys as the base, but trained on smaller pictures: known by its name alone.
  { name: 'sdxl-turbo', title: 'Stable Diffusion XL Turbo', size: 64, fits: () => false },
  {
    name: 'sdxl-refiner',
    title: 'Stable Diffusion XL refiner',
    size: 128,
    fits: parts => parts.towers.length === 1 && isTold(parts, 5) && beside(parts) === 0,
    last: 'aesthetic_score',
  },
]

export const stableDiffusionXls: readonly Family[] = kinds.map(({ name, title, size, fits, last, conditioning }) => ({
  name,
  title,
  needs: ['unet', 'stage'],
  fits,
  config: parts => ({
    first_stage_config: parts.stage,
    scale_factor: 0.13025,
    unet_config: { image_size: size, ...parts.unet, num_head_channels: 64 },
    conditioning: {
      clip_text: {
        embedders: [...parts.towers.slice(0, -1).map(clip), openClip(parts.towers.at(-1))],
        zero_empty: last === undefined,
      },
      sizes: { values: ['original_size', 'crop', last ?? 'target_size'], outdim },
      ...conditioning,
    },
    // The originals' LegacyDDPMDiscretization has the betas of Stable Diffusion 1. Files that predict v say so by a key that
    // holds nothing, `v_pred`, and `ztsnr` for a schedule without signal at its end; comfy/supported_models.py, SDXL.
    diffusion: {
      ...linearBetas(0.00085, 0.012, parts.names.has('v_pred') ? 'v' : 'epsilon'),
      ...(parts.names.has('v_pred') && parts.names.has('ztsnr') && { zero_terminal_snr: true }),
    },
  }),
}))
