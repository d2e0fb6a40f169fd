import { baseName } from '#platform'
import { locate } from '../../hub/index.js'
import { FileError } from '../../platform/errors.js'
import type { SourceLike } from '../../platform/types.js'
import {
  adaptedWeights,
  moduleNames,
  openAdapter,
  type Strength,
  strengthAt,
  strengthText,
  type WeighedAdapter,
} from '../../weights/adapters/index.js'
import { toFloat32 } from '../../weights/dtypes.js'
import { closingOnError, type TensorFile } from '../../weights/tensor-file.js'
import { type LearnedWord, readWords } from '../../weights/word-file.js'
import type { CheckpointModel, ReadableWeights } from '../loading/checkpoint-model.js'
import type { ImagePromptFiles } from './image-prompt-files.js'
import { type Weighed, withControls, withImagePrompt, withMapAdapters } from './networks-beside.js'
import { countsOf, withWords } from './new-words.js'

/** An adapter of weights, and how much of it is added where. */
export interface Lora extends Strength {
  readonly file: SourceLike
}

/** What is added to a model as it is loaded. */
export interface Adaptation {
  /** LoRA, LoHa, LoKr, DoRA and (IA)3 files of any tool, added to the weights one after the other. */
  readonly loras?: readonly Lora[] | undefined
  /** Words learned by textual inversion, for prompts. */
  readonly words?: readonly SourceLike[] | undefined
  /** ControlNets, each of which follows a hint of the generation. */
  readonly controls?: readonly Weighed[] | undefined
  /** T2I-adapters, each of which follows a map of the generation. */
  readonly t2i?: readonly Weighed[] | undefined
  /** An IP-adapter, which takes a picture as a prompt. */
  readonly imagePrompt?: ImagePromptFiles | undefined
}

/**
 * A model with adapters in it, which takes over the model and closes what it opened with it.
 *
 * @throws FileError naming the file where one is damaged or made for another model.
 */
export async function adaptModel(model: CheckpointModel, adaptation: Adaptation): Promise<CheckpointModel> {
  const { loras = [], words = [], controls = [], t2i = [], imagePrompt } = adaptation
  if (loras.length + words.length + controls.length + t2i.length === 0 && !imagePrompt) return model
  const opened: Pick<TensorFile, 'close'>[] = [model.checkpoint]
  const close = async () => {
    for (const file of opened.reverse()) await file.close()
  }
  return closingOnError({ close }, async () => {
    let adapted = model
    const added = new Map<string, string>(Object.entries(model.added ?? {}))
    const note = (label: string, { name }: { readonly name: string }, weight: number | string) => {
      const said = `${baseName(name).replace(/\.\w+$/, '')}:${weight}`
      added.set(label, [...(added.get(label)?.split(', ') ?? []), said].join(', '))
    }
    const learned: LearnedWord[] = []
    const adapters: WeighedAdapter[] = []
    for (const { file, ...strength } of loras) {
      const adapter = await openAdapter(await locate(file))
      opened.push(adapter)
      adapters.push({ adapter, weight: placedStrength(model, adapter.name, strength) })
      note('Lora', adapter, strengthText(strength))
      for (const [word, tensor] of adapter.words) learned.push(wordOf(word, await adapter.read(tensor)))
    }
    if (adapters.length > 0) adapted = { ...adapted, weights: withLoras(adapted, adapters) }
    for (const file of words) learned.push(...(await readWords(await locate(file))))
    if (learned.length > 0) adapted = withWords(adapted, learned)
    const counts = learned.length > 0 ? countsOf(learned) : undefined
    const hold = <T extends Pick<TensorFile, 'close'>>(file: T): T => {
      opened.push(file)
      return file
    }
    const adding = { hold, counts, note }
    adapted = await withControls(adapted, controls, adding)
    adapted = await withMapAdapters(adapted, t2i, adding)
    if (imagePrompt) adapted = await withImagePrompt(adapted, imagePrompt, adding)
    return { ...adapted, added: Object.fromEntries(added), checkpoint: { ...model.checkpoint, close } }
  })
}

function placedStrength({ config }: CheckpointModel, file: string, strength: Strength): (name: string) => number {
  try {
    return strengthAt(strength, config.unet_config!)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new FileError(file, `is given ${cause.message}`, { cause })
  }
}

function withLoras(
  { checkpoint, config, weights }: CheckpointModel,
  adapters: readonly WeighedAdapter[],
): ReadableWeights {
  const modules = moduleNames(weights.tensors.keys(), config.unet_config!)
  return adaptedWeights({ name: checkpoint.name, ...weights }, modules, adapters)
}

const wordOf = (word: string, tensor: Parameters<typeof toFloat32>[0]): LearnedWord => ({
  word,
  width: tensor.shape.at(-1)!,
  vectors: toFloat32(tensor),
})
