import { baseName } from '#platform'
import { embedderScope, readersOf } from '../../conditioning/index.js'
import { locate } from '../../hub/index.js'
import { FileError } from '../../platform/errors.js'
import type { SourceLike } from '../../platform/types.js'
import { controlPlaces } from '../../unet/control-net.js'
import {
  adaptedWeights,
  moduleNames,
  openAdapter,
  type Strength,
  strengthAt,
  strengthText,
  type WeighedAdapter,
} from '../../weights/adapters/index.js'
import { controlRenames } from '../../weights/diffusers/index.js'
import { fromFloat32, toFloat32 } from '../../weights/dtypes.js'
import { openWeights } from '../../weights/open-weights.js'
import { renamedFile, underPrefix } from '../../weights/rename.js'
import { closingOnError, type TensorFile, type TensorInfo } from '../../weights/tensor-file.js'
import { type LearnedWord, readWords } from '../../weights/word-file.js'
import type { CheckpointModel, ReadableWeights } from '../loading/checkpoint-model.js'
import { factorOf, type ModelConfig, trainedSize } from '../model-config.js'
import { controlScope, pictureScope } from '../networks.js'
import { denoisingProgram } from '../programs.js'
import { type FileBeside, withFilesBeside } from './files-beside.js'
import { type ImagePromptFiles, numberedAttention, openImagePrompt } from './image-prompt-files.js'
import { type MapAdapterFile, openMapAdapter } from './map-adapter-file.js'
import { tokenTables, withVectors } from './new-words.js'

/** A file that changes a model, and how much; 1 if not given. */
export interface Weighed {
  readonly file: SourceLike
  readonly weight?: number | undefined
}

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

/** Tokens of each word. */
const countsOf = (learned: readonly LearnedWord[]): Map<string, number> =>
  new Map(learned.map(({ word, width, vectors }) => [word, vectors.length / width]))

/** The model with vectors of words below those of its tokens, in each of its text encoders. */
function withWords(model: CheckpointModel, learned: readonly LearnedWord[]): CheckpointModel {
  const { checkpoint, weights, config } = model
  const tables = tokenTables(weights.tensors)
  if (tables.length === 0) throw new FileError(checkpoint.name, 'takes no text: words cannot be added to it')
  const words = countsOf(learned)
  const count = [...words.values()].reduce((a, b) => a + b, 0)
  const rows = new Map(
    tables.map(({ words: name, width }) => {
      const vectors = [...words].flatMap(([word, count]) => [...vectorsOf(word, { width, count })])
      return [name, fromFloat32(Float32Array.from(vectors), [count, width])] as const
    }),
  )
  /** What a word is in a text encoder of a width. */
  function vectorsOf(word: string, { width, count }: { width: number; count: number }): Float32Array {
    const all = learned.filter(each => each.word === word)
    const found = all.find(each => each.width === width)
    if (found?.vectors.length === count * width) return found.vectors
    const has = all.map(({ vectors, width }) => `${vectors.length / width} of ${width}`).join(' and ')
    throw new FileError(
      checkpoint.name,
      `has tokens ${tables.map(({ width }) => width).join(' and ')} wide and the word ${JSON.stringify(word)} has ${has}: it was learned with another text encoder`,
    )
  }
  return {
    ...model,
    conditions: readersOf(checkpoint.name, config.conditioning, { ...checkpoint.info, words }),
    adapt: withVectors(tables, count),
    weights: {
      tensors: new Map<string, TensorInfo>([...weights.tensors, ...rows]),
      read: async name => rows.get(name) ?? weights.read(name),
    },
  }
}

/** A ControlNet's tensors by the original's names, whichever tool wrote them. */
async function openControl(from: SourceLike, { unet_config, ...config }: ModelConfig): Promise<TensorFile<TensorInfo>> {
  const file = await openWeights(await locate(from))
  return closingOnError(file, async () => {
    const own = underPrefix(file, 'control_model.')
    if (own.tensors.size > 0) return own
    if (!file.tensors.has('controlnet_cond_embedding.conv_in.weight'))
      throw new FileError(
        file.name,
        'is no ControlNet: it holds neither control_model.… nor diffusers\u2019 names of one',
      )
    const hintLayers = 2 + 2 * Math.log2(factorOf(config))
    return renamedFile(file, controlRenames(unet_config!, hintLayers).toCompvis, 'the ControlNet')
  })
}

/** What adding networks takes beside the model. */
interface Adding {
  /** Sees to it that a file is closed with the model. */
  hold<T extends Pick<TensorFile, 'close'>>(file: T): T
  /** Tokens of the words that were added. */
  readonly counts: ReadonlyMap<string, number> | undefined
  /** Notes for the pictures' settings what was added, and how much of it. */
  note(label: string, file: { readonly name: string }, weight: number | string): void
}

/** A configuration with one more condition. */
const conditionedBy = (config: ModelConfig, more: NonNullable<ModelConfig['conditioning']>): ModelConfig => ({
  ...config,
  conditioning: { ...config.conditioning, ...more },
})

async function withControls(model: CheckpointModel, controls: readonly Weighed[], { hold, counts, note }: Adding) {
  if (controls.length === 0) return model
  const beside: FileBeside[] = []
  for (const [i, { file, weight = 1 }] of controls.entries()) {
    const opened = hold(await openControl(file, model.config))
    note('ControlNet', opened, weight)
    beside.push({ file: opened, prefix: `${controlScope(i)}.`, what: 'the ControlNet', unneeded: () => true })
  }
  const weights = controls.map(({ weight = 1 }) => weight)
  const places = controlPlaces(model.config.unet_config!)
  return withFilesBeside(model, conditionedBy(model.config, { control: { weights, places } }), beside, counts)
}

async function withMapAdapters(model: CheckpointModel, given: readonly Weighed[], { hold, counts, note }: Adding) {
  if (given.length === 0) return model
  const opened: MapAdapterFile[] = []
  for (const { file, weight = 1 } of given) {
    opened.push(await openMapAdapter(await locate(file), model.config))
    note('T2I-adapter', hold(opened.at(-1)!.file), weight)
  }
  const other = opened.find(({ config }) => config.xl !== opened[0]!.config.xl)
  if (other)
    throw new FileError(
      other.file.name,
      'adds its features at other places than the first T2I-adapter: use one of them',
    )
  const adapters = opened.map(({ config }, i) => ({ ...config, weight: given[i]!.weight ?? 1 }))
  const config = conditionedBy(model.config, { t2i: { adapters } })
  const { path } = embedderScope(config.conditioning, 't2i')!
  const beside = opened.map(({ file }, i) => ({ file, prefix: `${path}.${i}.`, what: 'the T2I-adapter' }))
  return withFilesBeside(model, config, beside, counts)
}

async function withImagePrompt(model: CheckpointModel, files: ImagePromptFiles, { hold, counts, note }: Adding) {
  const { file, encoder, weight = 1 } = files
  const opened = hold(await openImagePrompt({ file: await locate(file), encoder: await locate(encoder), weight }))
  note('IP-adapter', opened.projection, weight)
  const config = conditionedBy(model.config, { image_prompt: opened.config })
  const { path } = embedderScope(config.conditioning, 'image_prompt')!
  const size = { width: trainedSize(config), height: trainedSize(config) }
  const prefix = `${pictureScope}.`
  const keys = denoisingProgram(config, size).parameters.filter(({ name }) => name.startsWith(prefix))
  const what = 'the IP-adapter'
  const beside: FileBeside[] = [
    { file: opened.projection, prefix: `${path}.image_proj.`, what },
    { file: renamedFile(opened.attention, numberedAttention(keys, prefix), what), prefix, what },
    { file: opened.encoder, prefix: `${path}.image_encoder.`, what: 'the image encoder', unneeded: () => true },
  ]
  return withFilesBeside(model, config, beside, counts)
}
