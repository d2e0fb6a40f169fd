import { LatentkitError } from '../../platform/errors.js'
import type { SourceLike } from '../../platform/types.js'
import { validate } from '../../schema/index.js'
import type { Checkpoint } from '../../weights/checkpoint.js'
import { type Adaptation, adaptModel } from '../adapters/adapted-model.js'
import { checkpointModel } from '../loading/checkpoint-model.js'
import { type ModelFileOptions, openModelFile } from '../loading/model-file.js'
import { modelConfig } from '../model-config.js'
import type { Exported } from './exported.js'
import { type ExportFormat, exportFormats, formatOfPath } from './formats.js'
import type { WeightType } from './types.js'

/** How a model is read, and what it is written as. */
export interface ConvertOptions extends ModelFileOptions, Pick<Adaptation, 'loras'> {
  /** By the name of the path if left out: .safetensors as CompVis has them, .ckpt, .gguf, any other a folder of diffusers. */
  readonly format?: ExportFormat | undefined
  /** The type of the weights, as they are if left out; q8_0 and the like are GGUF's alone. */
  readonly dtype?: WeightType | undefined
}

/** What came of a conversion. */
export interface Converted {
  /** Tensors of the model's file that no network has a place for: a folder of diffusers goes without them, one file keeps them. */
  readonly unplaced: readonly string[]
}

/**
 * Writes a model that `load` takes in another format, piece by piece: a model of gigabytes needs some hundred megabytes of
 * memory. Adapters become part of its weights.
 *
 * @throws LatentkitError where the format has no place for a network, or none of the type; FileError as `load` does, and
 * where it cannot be written.
 * @example
 * await convert('v1-5-pruned.ckpt', 'v1-5.gguf', { dtype: 'q8_0' })
 */
export async function convert(from: SourceLike, path: string, options: ConvertOptions = {}): Promise<Converted> {
  const { format = formatOfPath(path), dtype, loras } = options
  const checkpoint = await openModelFile(from, options)
  try {
    const model = await exported(checkpoint, loras)
    await exportFormats[format].write(model, path, { dtype })
    return { unplaced: model.unplaced ?? [] }
  } finally {
    await checkpoint.close()
  }
}

async function exported(
  checkpoint: Checkpoint,
  loras: ConvertOptions['loras'],
): Promise<Exported & Partial<Converted>> {
  const config = validate(modelConfig, checkpoint.info.config, `${checkpoint.name}: config`)
  if (config.unet_config !== undefined) return adaptModel(checkpointModel(checkpoint), { loras })
  if (loras !== undefined && loras.length > 0)
    throw new LatentkitError(`${checkpoint.name} holds a first stage alone, which no adapter changes; leave loras out`)
  return { checkpoint, config, weights: { tensors: checkpoint.weights, read: checkpoint.read } }
}
