import { firstStageConfig, firstStageFactor, isTaesd, latentChannels } from '../../autoencoder/config.js'
import { FileError } from '../../platform/errors.js'
import { validate } from '../../schema/index.js'
import type { Checkpoint } from '../../weights/checkpoint.js'
import {
  type ConfigJson,
  originalNames,
  recognise,
  textEncodersIn,
  textPlaces,
  without,
} from '../../weights/families/index.js'
import { readStored, storedTensors } from '../../weights/stored.js'
import { wantedTensor } from '../../weights/tensor-file.js'
import type { OpenedTensors } from './open-tensors.js'
import type { OtherParts, OtherStage } from './other-files.js'

/** A file of another tool with the parts of others in the place of its own. */
export function withOtherParts(file: OpenedTensors, { stage, texts }: OtherParts, averaged: boolean): OpenedTensors {
  const own = originalNames(storedTensors(file), { averaged })
  if (stage) {
    const before = recognise(own)?.config.first_stage_config
    checkLatents(stage, own.get('model.diffusion_model.out.2.weight')?.shape[0], before)
  }
  const replaced = [...(stage ? ['first_stage_model.'] : []), ...(texts.length > 0 ? textPlaces : [])]
  const tensors = new Map([...without(own, replaced), ...(stage?.tensors ?? []), ...textEncodersIn(texts, own)])
  const read = (name: string) => readStored(wantedTensor(file.name, tensors, name))
  if (!('pipeline' in file)) return { ...file, tensors, read }
  return {
    ...file,
    tensors,
    read,
    ...(stage && { firstStage: stage.words }),
    ...(texts.length > 0 && { towers: [] }),
  }
}

/** A checkpoint of latentkit with another first stage; it carries its text encoder. */
export function withOtherStage(checkpoint: Checkpoint, { stage, texts }: OtherParts): Checkpoint {
  if (texts.length > 0)
    throw new FileError(
      checkpoint.name,
      'is of latentkit and knows no other text encoder than its own; leave textEncoders out',
    )
  if (stage === undefined) return checkpoint
  const { info } = checkpoint
  const { unet_config, first_stage_config } = info.config as { unet_config?: ConfigJson; first_stage_config?: unknown }
  checkLatents(stage, unet_config?.out_channels, first_stage_config)
  const weights = new Map([...without(checkpoint.weights, ['first_stage_model.']), ...stage.tensors])
  return {
    ...checkpoint,
    info: { ...info, config: { ...info.config, first_stage_config: stage.words } },
    weights,
    read: name => readStored(wantedTensor(checkpoint.name, weights, name)),
  }
}

/** Throws FileError where a first stage has latents of another shape than a model's network, or its own first stage. */
function checkLatents({ file, words }: OtherStage, painted: unknown, own: unknown): void {
  const stage = validate(firstStageConfig, words, `${file}: config`)
  const channels = latentChannels(stage)
  if (typeof painted === 'number' && painted !== channels)
    misfit(file, `its latents have ${channels} channels, those of the model ${painted}`)
  const before = firstStageConfig.safeParse(own)
  const factor = firstStageFactor(stage)
  if (before.success && firstStageFactor(before.data) !== factor)
    misfit(
      file,
      `its latents stand for ${factor} pixels a side, those of the model for ${firstStageFactor(before.data)}`,
    )
}

function misfit(file: string, reason: string): never {
  throw new FileError(file, `does not fit the model: ${reason}; take a first stage that the model was made for`)
}

/**
 * A checkpoint that has taken over parts of other files, which are closed with it.
 *
 * @throws FileError where the first stage says another scale of its latents than the model.
 */
export function takenOver(checkpoint: Checkpoint, { stage, names, close }: OtherParts): Checkpoint {
  const { config } = checkpoint.info
  return {
    ...checkpoint,
    ...(stage && { info: { ...checkpoint.info, config: scaled(stage, config) } }),
    others: names,
    async close() {
      await checkpoint.close()
      await close()
    },
  }
}

/** The configuration with another first stage in it; the latents of TAESD are those of the diffusion model. */
function scaled({ file, words, scaleFactor }: OtherStage, config: ConfigJson): ConfigJson {
  if (isTaesd(validate(firstStageConfig, words, `${file}: config`)))
    return { ...config, scale_factor: 1, shift_factor: 0 }
  const { scale_factor } = config
  if (scaleFactor !== undefined && typeof scale_factor === 'number' && Math.abs(scaleFactor / scale_factor - 1) > 1e-5)
    misfit(file, `its latents are scaled by ${scaleFactor}, those of the model by ${scale_factor}`)
  return config
}
