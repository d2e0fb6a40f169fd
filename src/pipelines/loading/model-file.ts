import { z } from 'zod'
import { fileInfo, readBytes, readText } from '#platform'
import type { SourceLike } from '../../platform/types.js'
import { parseConfig } from '../../schema/index.js'
import { vocabularyText } from '../../text/index.js'
import { type Checkpoint, checkpointOf, isCheckpoint } from '../../weights/checkpoint.js'
import {
  bertPieces,
  type ConfigJson,
  families,
  folderCheckpoint,
  foreignCheckpoint,
  isCompvisConfig,
} from '../../weights/families/index.js'
import { closingOnError } from '../../weights/tensor-file.js'
import { type OpenedTensors, openTensors } from './open-tensors.js'
import { type OtherFiles, openOtherFiles } from './other-files.js'
import { takenOver, withOtherParts, withOtherStage } from './other-parts.js'

/** How a model's file is to be understood, and what of it other files have. */
export interface ModelFileOptions extends OtherFiles {
  /**
   * For a checkpoint of another tool that is not what its tensors make it look like: the name of a family (`sd2-v`), a YAML
   * file as CompVis has them, or a configuration. A YAML file of the checkpoint's own name beside it counts as well.
   */
  readonly config?: string | Readonly<Record<string, unknown>> | undefined
  /** Takes the weights as training left them where a file holds their averages as well; false by default. */
  readonly withoutAverages?: boolean | undefined
}

/**
 * Opens the file or folder of a model, of latentkit's own kind or another tool's: .safetensors, .ckpt and .pt, GGUF, a
 * folder of diffusers, or the name of a model that `pull` fetched. Nothing is ever fetched but what `from` names.
 *
 * @throws FileError where it is missing, damaged or of no known kind.
 */
export async function openModelFile(from: SourceLike, options: ModelFileOptions = {}): Promise<Checkpoint> {
  return checkpointIn(await openTensors(from), options)
}

/** The model in a file that is open; closing it closes the file, and so does refusing it. Throws as `openModelFile` does. */
export async function checkpointIn(file: OpenedTensors, options: ModelFileOptions = {}): Promise<Checkpoint> {
  const { vae, textEncoders = [] } = options
  if (vae === undefined && textEncoders.length === 0) return checkpointAlone(file, options)
  return closingOnError(file, async () => {
    const parts = await openOtherFiles({ vae, textEncoders }, openTensors)
    return closingOnError(parts, async () => {
      const joined = isCheckpoint(file.metadata)
        ? withOtherStage(await checkpointOf(file), parts)
        : await checkpointAlone(withOtherParts(file, parts, !options.withoutAverages), options)
      return takenOver(joined, parts)
    })
  })
}

/** The same of a file that holds all. */
async function checkpointAlone(
  file: OpenedTensors,
  { config, withoutAverages = false }: ModelFileOptions,
): Promise<Checkpoint> {
  if (isCheckpoint(file.metadata)) return checkpointOf(file)
  return closingOnError(file, async () => {
    const named = typeof config === 'string' ? await configNamed(config) : (config ?? (await configBeside(file.name)))
    const options = { config: named, averaged: !withoutAverages }
    return withVocabulary(
      'pipeline' in file ? await folderCheckpoint(file, options) : await foreignCheckpoint(file, options),
    )
  })
}

/** The name of a family as it is, the contents of a file. */
async function configNamed(config: string): Promise<string | ConfigJson> {
  if (families.some(({ name }) => name === config) || !(await fileInfo(config))) return config
  return configIn(config)
}

/** As the web interfaces have it, a YAML file of a checkpoint's name says what it is; others of that name may say anything. */
async function configBeside(name: string): Promise<ConfigJson | undefined> {
  const path = name.replace(/\.\w+$/, '.yaml')
  if (path === name || /^\w+:\/\//.test(name) || (await fileInfo(path))?.kind !== 'file') return undefined
  const config = await configIn(path)
  return isCompvisConfig(config) ? config : undefined
}

const configIn = async (path: string): Promise<ConfigJson> =>
  parseConfig(await readText(path), z.record(z.string(), z.unknown()), path)

// Bundlers look for exactly these expressions, and copy the files.
/** CLIP's vocabulary, which comes with latentkit. */
export const clipMerges = (): URL => new URL('../../../models/clip-merges.txt.gz', import.meta.url)
const bertVocabulary = (): URL => new URL('../../../models/bert-uncased.txt.gz', import.meta.url)

/** Other tools keep vocabularies beside their models: those of the known ones come with latentkit. */
async function withVocabulary(checkpoint: Checkpoint): Promise<Checkpoint> {
  const { info } = checkpoint
  if (info.vocabulary !== undefined) return checkpoint
  const { clip_text, text } = (info.config.conditioning ?? {}) as {
    clip_text?: unknown
    text?: { vocab_size?: unknown }
  }
  const unpacked = async (file: URL) => vocabularyText(await readBytes(file), String(file))
  const vocabulary =
    clip_text !== undefined
      ? { kind: 'clip', merges: await unpacked(clipMerges()) }
      : text?.vocab_size === bertPieces
        ? { kind: 'bert', words: await unpacked(bertVocabulary()) }
        : undefined
  return vocabulary ? { ...checkpoint, info: { ...info, vocabulary: JSON.stringify(vocabulary) } } : checkpoint
}
