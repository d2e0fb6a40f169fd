import { LatentkitError } from '../../platform/errors.js'
import { type ClipTower, layersFromEnd, towerLayers } from '../../text/clip-tower.js'
import type { ConditioningConfig } from '../config.js'
import { towersOf } from './clip-text.js'

/**
 * How a tool counts clip skip, all keeping the model's own rule for the final normalisation:
 * - `a1111`: the layer from the end, 1 the last, of Stable Diffusion 1's CLIP alone; others keep theirs
 *   (modules/sd_hijack_clip.py, sd_hijack_open_clip.py);
 * - `comfyui`, `sdcpp`: the same of every text encoder, as CLIPSetLastLayer's -1, -2, … (comfy/sd1_clip.py, sdxl_clip.py)
 *   and stable-diffusion.cpp's --clip-skip (src/conditioning/conditioner.hpp);
 * - `diffusers`: layers below the one that the model takes, 0 none (pipeline_stable_diffusion.py, pipeline_stable_diffusion_xl.py).
 */
export type ClipSkipRule = 'a1111' | 'comfyui' | 'sdcpp' | 'diffusers'

/**
 * The conditions of a model with the context of another layer of its CLIP text encoders.
 *
 * @throws LatentkitError where there is no CLIP, or no such layer.
 */
export function withClipSkip(config: ConditioningConfig, skip: number, rule: ClipSkipRule): ConditioningConfig {
  const { clip_text } = config
  if (clip_text === undefined)
    throw new LatentkitError(
      'generate: clipSkip is for models of CLIP text encoders, which this one has none of; leave it out',
    )
  const several = 'embedders' in clip_text
  const at = (tower: ClipTower): ClipTower => {
    if (rule === 'a1111' && (several || 'width' in tower)) return tower
    const layer = rule === 'diffusers' ? layersFromEnd(tower) + skip : skip
    const [least, most] = [rule === 'diffusers' ? 0 : 1, towerLayers(tower) - (layer - skip)]
    if (skip < least || skip > most)
      throw new LatentkitError(`generate: clipSkip is ${skip}; this model wants ${least} to ${most}, as ${rule} counts`)
    return { ...tower, layer }
  }
  const [first] = towersOf(clip_text)
  return { ...config, clip_text: several ? { ...clip_text, embedders: clip_text.embedders.map(at) } : at(first!) }
}
