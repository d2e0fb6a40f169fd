import { isTaesd } from '../../autoencoder/config.js'
import {
  autoencoderRenames,
  autoencoderToDiffusers,
  tinyAutoencoderRenames,
  tinyAutoencoderToDiffusers,
} from '../../weights/diffusers/index.js'
import type { Rename } from '../../weights/rename.js'
import type { ModelConfig } from '../model-config.js'
import { oneScale } from './exported.js'

/** A model's first stage as diffusers has it: its config.json, and the names of its tensors. */
export interface StageOfDiffusers {
  readonly config: Record<string, unknown>
  readonly rename: Rename
}

/** Throws RangeError where diffusers has no word for the first stage. */
export function stageToDiffusers(model: ModelConfig): StageOfDiffusers {
  const { first_stage_config: stage } = model
  // Where no one number says the scale it goes into the weights; a first stage alone has none.
  const scale = model.unet_config && (oneScale(model) ?? 1)
  if (isTaesd(stage)) {
    if (scale !== undefined && scale !== 1)
      throw new RangeError(`TAESD's latents are not scaled there, found a scale of ${scale}`)
    return { config: tinyAutoencoderToDiffusers(stage), rename: tinyAutoencoderRenames.toDiffusers }
  }
  if ('f' in stage) throw new RangeError('it paints pixels without a first stage')
  return { config: autoencoderToDiffusers(stage, scale), rename: autoencoderRenames(stage.ddconfig).toDiffusers }
}
