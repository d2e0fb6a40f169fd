import { FileError, LatentkitError } from '../../platform/errors.js'
import type { Checkpoint } from '../checkpoint.js'
import { readStored, storedTensors } from '../stored.js'
import { type StoredTensor, type TensorFile, type TensorInfo, wantedTensor } from '../tensor-file.js'
import { configFromCompvis, isCompvisConfig } from './compvis-yaml.js'
import { describeOther, describeTensors } from './describe.js'
import { refined } from './facts.js'
import type { ConfigJson, Family } from './family.js'
import { originalNames } from './original-names.js'
import { type Recognised, recognise } from './recognise.js'

/** How a checkpoint of another tool is to be understood. */
export interface ForeignOptions {
  /**
   * The family that it is to be taken for, or its configuration: ours, or in the form of CompVis' YAML files. Told by the
   * tensors if left out.
   */
  readonly config?: string | ConfigJson | undefined
  /** Whether the averages of training take the place of the weights where a file has both; true by default. */
  readonly averaged?: boolean | undefined
}

/**
 * Takes over an opened file of another tool: recognises it, and gives its tensors their original names.
 *
 * @throws FileError where it is of no known family; LatentkitError for a family that there is not.
 * @example
 * const checkpoint = await foreignCheckpoint(await openWeights('v1-5-pruned.ckpt'))
 * checkpoint.family?.name // 'sd1'
 */
export async function foreignCheckpoint(
  file: TensorFile<TensorInfo | StoredTensor>,
  { config, averaged }: ForeignOptions = {},
): Promise<Checkpoint> {
  const weights = originalNames(storedTensors(file), { averaged })
  const found =
    typeof config === 'object'
      ? { config: configured(config, weights, file.name) }
      : await understood(file.name, weights, config)
  return checkpointWith(file, weights, found)
}

/** A checkpoint of a file's tensors by their original names. */
export function checkpointWith(
  { name, close }: Pick<TensorFile, 'name' | 'close'>,
  weights: ReadonlyMap<string, StoredTensor>,
  { config, family, vocabulary }: { config: ConfigJson; family?: Family; vocabulary?: string | undefined },
): Checkpoint {
  return {
    name,
    origin: { family },
    info: { library: 'another tool', config, vocabulary },
    weights,
    training: undefined,
    read: tensor => readStored(wantedTensor(name, weights, tensor)),
    readTraining: tensor => Promise.reject(new FileError(name, `holds no state of a training, such as ${tensor}`)),
    close,
  }
}

const configured = (config: ConfigJson, weights: ReadonlyMap<string, StoredTensor>, file: string): ConfigJson =>
  isCompvisConfig(config) ? configFromCompvis(config, recognise(weights)?.config, file) : config

async function understood(name: string, tensors: ReadonlyMap<string, StoredTensor>, family: string | undefined) {
  return refined(recognised(name, tensors, family), { file: name, tensors, named: family !== undefined })
}

/** Throws FileError where the tensors are of no known family, or not of the one that was named. */
export function recognised(
  name: string,
  tensors: ReadonlyMap<string, StoredTensor>,
  family: string | undefined,
): Recognised {
  const found = named(name, tensors, family)
  if (found) return found
  const other = describeOther(tensors)
  const told = other ?? `${describeTensors(tensors)}${toDo(name)}`
  throw new FileError(name, `is no checkpoint that latentkit knows: ${told}`)
}

/** What may help where nothing is known of a file. */
const toDo = (name: string): string =>
  /-\d{5}-of-\d{5}\.(\w+\.)?(safetensors|bin)$/.test(name)
    ? '; it is one of several files: give the index that lies beside it, ….index.json'
    : '; give config, the name of a family or a configuration, if it is one'

function named(name: string, tensors: ReadonlyMap<string, StoredTensor>, family: string | undefined) {
  try {
    return recognise(tensors, family)
  } catch (cause) {
    if (!(cause instanceof LatentkitError)) throw cause
    throw new FileError(name, cause.message, { cause })
  }
}
