import { readersOf } from '../conditioning/index.js'
import { FileError } from '../platform/errors.js'
import type { SourceLike } from '../platform/types.js'
import { adaptedWeights, moduleNames, openAdapter, type WeighedAdapter } from '../weights/adapters/index.js'
import { controlRenames } from '../weights/diffusers/index.js'
import { fromFloat32, toFloat32 } from '../weights/dtypes.js'
import { expectTensors } from '../weights/expect-tensors.js'
import { openWeights } from '../weights/open-weights.js'
import { renamedFile, underPrefix } from '../weights/rename.js'
import { closingOnError, type TensorFile, type TensorInfo } from '../weights/tensor-file.js'
import { type LearnedWord, readWords } from '../weights/word-file.js'
import type { CheckpointModel, ReadableWeights } from './checkpoint-model.js'
import { factorOf, type ModelConfig, trainedSize } from './model-config.js'
import { controlScope } from './networks.js'
import { tokenTable, withVectors } from './new-words.js'
import { denoisingProgram } from './programs.js'

/** A file that changes a model, and how much; 1 if not given. */
export interface Weighed {
  readonly file: SourceLike
  readonly weight?: number | undefined
}

/** What is added to a model as it is loaded. */
export interface Adaptation {
  /** LoRA, LoHa, LoKr and DoRA files of any tool, added to the weights one after the other. */
  readonly loras?: readonly Weighed[] | undefined
  /** Words learned by textual inversion, for prompts. */
  readonly words?: readonly SourceLike[] | undefined
  /** ControlNets, each of which follows a hint of the generation. */
  readonly controls?: readonly Weighed[] | undefined
}

/**
 * A model with adapters in it, which takes over the model and closes what it opened with it.
 *
 * @throws FileError naming the file where one is damaged or made for another model.
 */
export async function adaptModel(model: CheckpointModel, adaptation: Adaptation): Promise<CheckpointModel> {
  const { loras = [], words = [], controls = [] } = adaptation
  if (loras.length + words.length + controls.length === 0) return model
  const opened: Pick<TensorFile, 'close'>[] = [model.checkpoint]
  const close = async () => {
    for (const file of opened.reverse()) await file.close()
  }
  return closingOnError({ close }, async () => {
    let adapted = model
    const learned: LearnedWord[] = []
    const adapters: WeighedAdapter[] = []
    for (const { file, weight = 1 } of loras) {
      const adapter = await openAdapter(file)
      opened.push(adapter)
      adapters.push({ adapter, weight })
      for (const [word, tensor] of adapter.words) learned.push(wordOf(word, await adapter.read(tensor)))
    }
    if (adapters.length > 0) adapted = { ...adapted, weights: withLoras(adapted, adapters) }
    for (const file of words) learned.push(...(await readWords(file)))
    if (learned.length > 0) adapted = withWords(adapted, learned)
    if (controls.length > 0) {
      const files: TensorFile<TensorInfo>[] = []
      for (const { file } of controls) {
        files.push(await openControl(file, adapted.config))
        opened.push(files.at(-1)!)
      }
      adapted = withControls(
        adapted,
        files,
        controls.map(({ weight = 1 }) => weight),
        learned.length > 0 ? countsOf(learned) : undefined,
      )
    }
    return { ...adapted, checkpoint: { ...model.checkpoint, close } }
  })
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

/** The model with vectors of words below those of its tokens. */
function withWords(model: CheckpointModel, learned: readonly LearnedWord[]): CheckpointModel {
  const { checkpoint, weights, config } = model
  const table = tokenTable(weights.tensors)
  if (table === undefined) throw new FileError(checkpoint.name, 'takes no text: words cannot be added to it')
  const { width } = table
  for (const { word, width: found } of learned) {
    if (found === width) continue
    throw new FileError(
      checkpoint.name,
      `has tokens ${width} wide and the word ${JSON.stringify(word)} has ${found}: it was learned with another text encoder`,
    )
  }
  const words = countsOf(learned)
  const count = [...words.values()].reduce((a, b) => a + b, 0)
  const rows = fromFloat32(Float32Array.from(learned.flatMap(({ vectors }) => [...vectors])), [count, width])
  return {
    ...model,
    conditions: readersOf(checkpoint.name, config.conditioning, { ...checkpoint.info, words }),
    adapt: withVectors(table, count),
    weights: {
      tensors: new Map<string, TensorInfo>(weights.tensors).set(table.words, rows),
      read: async name => (name === table.words ? rows : weights.read(name)),
    },
  }
}

/** A ControlNet's tensors by the original's names, whichever tool wrote them. */
async function openControl(from: SourceLike, { unet_config, ...config }: ModelConfig): Promise<TensorFile<TensorInfo>> {
  const file = await openWeights(from)
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

/** The model with ControlNets beside its UNet, held against what it needs of them. */
function withControls(
  model: CheckpointModel,
  files: readonly TensorFile<TensorInfo>[],
  strengths: readonly number[],
  words: ReadonlyMap<string, number> | undefined,
): CheckpointModel {
  const { checkpoint, weights } = model
  const config: ModelConfig = {
    ...model.config,
    conditioning: { ...model.config.conditioning, control: { weights: [...strengths] } },
  }
  const tensors = new Map(weights.tensors)
  const places = new Map<string, { file: TensorFile; name: string }>()
  const size = { width: trainedSize(config), height: trainedSize(config) }
  const { parameters } = denoisingProgram(config, size)
  for (const [i, file] of files.entries()) {
    const prefix = `${controlScope(i)}.`
    const own = parameters.filter(({ name }) => name.startsWith(prefix))
    const wanted = new Map(own.map(({ name, shape }) => [name.slice(prefix.length), shape]))
    expectTensors(file, wanted, { what: 'the ControlNet' })
    for (const name of wanted.keys()) {
      tensors.set(prefix + name, file.tensors.get(name)!)
      places.set(prefix + name, { file, name })
    }
  }
  async function read(name: string) {
    const place = places.get(name)
    return place ? place.file.read(place.name) : weights.read(name)
  }
  const conditions = readersOf(checkpoint.name, config.conditioning, { ...checkpoint.info, words })
  return { ...model, config, conditions, weights: { tensors, read } }
}
