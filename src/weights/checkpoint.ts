import { z } from 'zod'
import { FileError } from '../platform/errors.js'
import type { FileSource } from '../platform/types.js'
import type { TensorData } from './dtypes.js'
import type { Family } from './families/family.js'
import {
  encodeSafetensors,
  openSafetensors,
  type SafetensorsFile,
  type TensorToWrite,
  writeSafetensors,
} from './safetensors.js'
import { storedTensors } from './stored.js'
import { closingOnError, type StoredTensor, type TensorFile, type TensorInfo } from './tensor-file.js'

/** Raised when an older latentkit could no longer read what a newer one writes. */
const formatVersion = 1

const jsonObject = z.record(z.string(), z.unknown())

/** What a checkpoint says about itself; with the weights it is enough to generate, to explain and to train on. */
export const checkpointInfoSchema = z.strictObject({
  /** Version of the latentkit that wrote it. */
  library: z.string(),
  /** Configuration of the whole model; its schema is the model's. */
  config: jsonObject,
  /** Vocabulary of the tokenizer, in the form that the tokenizer reads. */
  vocabulary: z.string().optional(),
  /** How it was trained. */
  recipe: jsonObject.optional(),
  /** Fingerprint of the data it was trained on. */
  data: z.string().optional(),
  /** Under which conditions it may be used, and whom to name. */
  licences: z.string().optional(),
})
/** What a checkpoint says about itself, checked. */
export type CheckpointInfo = z.infer<typeof checkpointInfoSchema>

/** What resuming needs beside the weights: tensors (moments, averages) and plain values (steps, generators, position). */
export interface TrainingState<Tensor> {
  readonly values: Readonly<Record<string, unknown>>
  readonly tensors: ReadonlyMap<string, Tensor>
}

export interface CheckpointContents<Tensor extends TensorToWrite = TensorToWrite> {
  readonly info: CheckpointInfo
  /** By their names in the original checkpoints: `first_stage_model.*`, `model.diffusion_model.*`, `cond_stage_model.*`. */
  readonly weights: ReadonlyMap<string, Tensor>
  readonly training?: TrainingState<Tensor>
}

/** A checkpoint whose tensors are read when asked for; their entries hold their places in the file. */
export interface Checkpoint extends Pick<SafetensorsFile, 'name' | 'read' | 'close'> {
  readonly info: CheckpointInfo
  /** Given for a checkpoint of another tool: the family that it was recognised as, if its configuration was not given. */
  readonly origin?: { readonly family?: Pick<Family, 'name' | 'title'> | undefined }
  /** Networks that were taken from other files, by what they are: `VAE` -> `vae-ft-mse-840000`. */
  readonly others?: Readonly<Record<string, string>>
  readonly weights: ReadonlyMap<string, StoredTensor>
  readonly training: TrainingState<StoredTensor> | undefined
  /** Reads a tensor of the training state by its name there. */
  readTraining(tensor: string): Promise<TensorData>
}

const metadataPrefix = 'latentkit.'
const trainingPrefix = 'training_state.'

/** Writes a checkpoint atomically, one tensor in memory at a time; throws as `writeSafetensors` does. */
export async function writeCheckpoint(path: string, contents: CheckpointContents): Promise<void> {
  const { tensors, metadata } = flatten(contents)
  await writeSafetensors(path, tensors, metadata)
}

/** A checkpoint in memory, for where there is no disk. */
export function encodeCheckpoint(contents: CheckpointContents<TensorData>): Uint8Array {
  const { tensors, metadata } = flatten(contents)
  return encodeSafetensors(tensors, metadata)
}

function flatten<Tensor extends TensorToWrite>({ info, weights, training }: CheckpointContents<Tensor>) {
  const tensors = new Map<string, Tensor>(weights)
  for (const name of weights.keys()) {
    if (name.startsWith(trainingPrefix))
      throw new RangeError(`A weight cannot be called ${name}: ${trainingPrefix} is for the training state`)
  }
  for (const [name, tensor] of training?.tensors ?? []) tensors.set(trainingPrefix + name, tensor)
  const metadata = checkpointMetadata(info)
  if (training) metadata.set(`${metadataPrefix}training`, JSON.stringify(training.values))
  return { tensors, metadata }
}

/** What a file carries to be a checkpoint, of whatever format it is. */
export function checkpointMetadata(info: CheckpointInfo): Map<string, string> {
  const { library, config, vocabulary, recipe, data, licences } = checkpointInfoSchema.parse(info)
  const texts: Record<string, string | undefined> = {
    format: String(formatVersion),
    library,
    config: JSON.stringify(config),
    vocabulary,
    recipe: recipe && JSON.stringify(recipe),
    data,
    licences,
  }
  const metadata = new Map<string, string>()
  for (const [key, text] of Object.entries(texts)) if (text !== undefined) metadata.set(metadataPrefix + key, text)
  return metadata
}

/**
 * Opens a checkpoint that latentkit wrote; closing it closes the source, and so does refusing it.
 *
 * Throws FileError where the file is damaged, foreign, or of a newer format.
 *
 * @example
 * const checkpoint = await openCheckpoint(await openSource('model.safetensors'))
 * const { config } = checkpoint.info
 */
export async function openCheckpoint(source: FileSource): Promise<Checkpoint> {
  return checkpointOf(await openSafetensors(source))
}

/** The checkpoint in a file that is open already; closing it closes the file, and so does refusing it. Throws as `openCheckpoint`. */
export async function checkpointOf(file: TensorFile<TensorInfo | StoredTensor>): Promise<Checkpoint> {
  return closingOnError(file, async () => {
    const texts = new Map<string, string>()
    for (const [key, text] of file.metadata) {
      if (key.startsWith(metadataPrefix)) texts.set(key.slice(metadataPrefix.length), text)
    }
    checkFormat(file, texts.get('format'))
    const values = jsonOf(file.name, texts, 'training')
    const info = checkpointInfoSchema.safeParse({
      library: texts.get('library'),
      config: jsonOf(file.name, texts, 'config'),
      vocabulary: texts.get('vocabulary'),
      recipe: jsonOf(file.name, texts, 'recipe'),
      data: texts.get('data'),
      licences: texts.get('licences'),
    })
    if (!info.success) throw new FileError(file.name, `is a damaged checkpoint: ${z.prettifyError(info.error)}`)
    const weights = new Map<string, StoredTensor>()
    const tensors = new Map<string, StoredTensor>()
    for (const [name, tensor] of storedTensors(file)) {
      if (name.startsWith(trainingPrefix)) tensors.set(name.slice(trainingPrefix.length), tensor)
      else weights.set(name, tensor)
    }
    return {
      name: file.name,
      info: info.data,
      weights,
      training: values && { values, tensors },
      read: file.read,
      readTraining: name => file.read(trainingPrefix + name),
      close: file.close,
    }
  })
}

/** Whether a safetensors file is a checkpoint that latentkit wrote. */
export function isCheckpoint(metadata: ReadonlyMap<string, string>): boolean {
  return metadata.has(`${metadataPrefix}format`)
}

function checkFormat(file: TensorFile, format: string | undefined): void {
  if (format === undefined) {
    const [first] = file.tensors.keys()
    throw new FileError(
      file.name,
      `is no checkpoint of latentkit: it holds ${file.tensors.size} tensors${first === undefined ? '' : ` (${first.slice(0, 80)}, …)`} and no configuration; wanted is a file that latentkit wrote`,
    )
  }
  if (format !== String(formatVersion)) {
    throw new FileError(
      file.name,
      `is a checkpoint of format ${format.slice(0, 20)}, this latentkit reads format ${formatVersion}; update latentkit`,
    )
  }
}

function jsonOf(file: string, texts: ReadonlyMap<string, string>, key: string): Record<string, unknown> | undefined {
  const text = texts.get(key)
  if (text === undefined) return undefined
  try {
    return jsonObject.parse(JSON.parse(text))
  } catch (cause) {
    throw new FileError(file, `is a damaged checkpoint: its ${key} is no JSON object`, { cause })
  }
}
