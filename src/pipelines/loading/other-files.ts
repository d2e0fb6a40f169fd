import { baseName } from '#platform'
import type { SourceLike } from '../../platform/types.js'
import { checkpointOf, isCheckpoint } from '../../weights/checkpoint.js'
import { type ConfigJson, firstStageIn } from '../../weights/families/index.js'
import { closingOnError, type StoredTensor } from '../../weights/tensor-file.js'
import type { OpenedTensors } from './open-tensors.js'

/** Networks of a model that are taken from files of their own. */
export interface OtherFiles {
  /**
   * The first stage: an autoencoder alone in any layout, or that of another model; also a TAESD, which is small and quick.
   * The model's own if left out.
   */
  readonly vae?: SourceLike | undefined
  /** CLIP's text encoders, each alone or that of another model; the model's own if left out. */
  readonly textEncoders?: readonly SourceLike[] | undefined
}

/** What other files have of a model, opened. */
export interface OtherParts {
  readonly stage: OtherStage | undefined
  readonly texts: readonly OpenedTensors[]
  /** Names of the files by what they hold, as settings of pictures tell them. */
  readonly names: Readonly<Record<string, string>>
  close(): Promise<void>
}

/** A first stage of another file. */
export interface OtherStage {
  readonly file: string
  readonly tensors: ReadonlyMap<string, StoredTensor>
  readonly words: ConfigJson
  /** By which it says that latents are scaled, if it does. */
  readonly scaleFactor: number | undefined
}

/**
 * Opens the files that other parts of a model are taken from.
 *
 * @throws FileError where a file holds no such network.
 */
export async function openOtherFiles(
  { vae, textEncoders = [] }: OtherFiles,
  open: (from: SourceLike) => Promise<OpenedTensors>,
): Promise<OtherParts> {
  const opened: OpenedTensors[] = []
  const close = async () => {
    for (const file of opened) await file.close()
  }
  const hold = async (from: SourceLike) => {
    const file = await open(from)
    opened.push(file)
    return file
  }
  return closingOnError({ close }, async () => {
    const stage = vae === undefined ? undefined : await stageOf(await hold(vae))
    const texts: OpenedTensors[] = []
    for (const from of textEncoders) texts.push(await hold(from))
    const label = (file: string) => baseName(file).replace(/\.\w+$/, '')
    const names = {
      ...(stage && { VAE: label(stage.file) }),
      ...(texts.length > 0 && { 'Text encoder': texts.map(({ name }) => label(name)).join(', ') }),
    }
    return { stage, texts, names, close }
  })
}

async function stageOf(file: OpenedTensors): Promise<OtherStage> {
  const { tensors, words } = firstStageIn(file)
  const own = isCheckpoint(file.metadata) ? (await checkpointOf(file)).info.config : undefined
  const told = 'pipeline' in file ? file.firstStage : (own?.first_stage_config as ConfigJson | undefined)
  return {
    file: file.name,
    tensors,
    words: told ?? { ...words },
    scaleFactor: 'pipeline' in file ? file.scaleFactor : undefined,
  }
}
