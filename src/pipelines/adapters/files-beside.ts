import { readersOf } from '../../conditioning/index.js'
import { FileError } from '../../platform/errors.js'
import { expectTensors } from '../../weights/expect-tensors.js'
import { quoted, type TensorFile, type TensorInfo } from '../../weights/tensor-file.js'
import type { CheckpointModel } from '../loading/checkpoint-model.js'
import { type ModelConfig, trainedSize } from '../model-config.js'
import { conditionProgram, denoisingProgram } from '../programs.js'

/** A file whose network stands beside a model's own. */
export interface FileBeside {
  /** The network, as messages call it. */
  readonly what: string
  /** By the names of the network's parameters. */
  readonly file: TensorFile<TensorInfo>
  /** Where in the model the network has its parameters, with the dot at the end. */
  readonly prefix: string
  /** Tensors of the file that the network may leave alone; none if not given. */
  readonly unneeded?: (name: string) => boolean
}

/**
 * The model with a configuration that wants more networks, which are held against their files.
 *
 * @param words tokens of the words that were added to the model's vocabulary
 * @throws FileError naming a file that holds another network than is wanted.
 */
export function withFilesBeside(
  model: CheckpointModel,
  config: ModelConfig,
  beside: readonly FileBeside[],
  words: ReadonlyMap<string, number> | undefined,
): CheckpointModel {
  const { checkpoint, weights } = model
  const tensors = new Map(weights.tensors)
  const places = new Map<string, { file: TensorFile; name: string }>()
  const size = { width: trainedSize(config), height: trainedSize(config) }
  const parameters = [denoisingProgram(config, size), conditionProgram(config, size)].flatMap(
    program => program?.parameters ?? [],
  )
  for (const { file, prefix, what, unneeded = () => false } of beside) {
    const own = parameters.filter(({ name }) => name.startsWith(prefix))
    const wanted = new Map(own.map(({ name, shape }) => [name.slice(prefix.length), shape]))
    expectTensors(file, wanted, { what })
    for (const name of file.tensors.keys()) {
      if (wanted.has(name) || unneeded(name)) continue
      throw new FileError(file.name, `holds ${quoted(name)}, for which ${what} has no place: it is of another make`)
    }
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
