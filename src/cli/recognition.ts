import { checkpointModel } from '../pipelines/loading/checkpoint-model.js'
import { checkpointIn } from '../pipelines/loading/model-file.js'
import type { OpenedTensors } from '../pipelines/loading/open-tensors.js'
import { FileError } from '../platform/errors.js'
import { SchemaError } from '../schema/index.js'
import type { Checkpoint } from '../weights/checkpoint.js'
import { tree } from './tree.js'

/** What a file of another tool was recognised as. */
export interface Recognition {
  /** Of the families of models, such as `sd1`; undefined for a file of none, whose `problem` says what it is. */
  readonly family?: string
  readonly title?: string
  readonly config?: object
  /** Tensors that no network has a place for, and that are not known to be of no use. */
  readonly unplaced: readonly string[]
  /** How many tensors are known to be of no use, by the reason. */
  readonly unneeded: Readonly<Record<string, number>>
  /** Why it cannot be loaded, if it cannot. */
  readonly problem?: string
}

const nothing = { unplaced: [], unneeded: {} }

/** Recognises an opened file, which stays open. */
export async function recognition(file: OpenedTensors, config: string | undefined): Promise<Recognition> {
  try {
    const checkpoint = await checkpointIn({ ...file, close: async () => {} }, { config })
    const { origin, info } = checkpoint
    const { name: family, title } = origin?.family ?? {}
    return { ...(family && { family }), ...(title && { title }), config: info.config, ...placesIn(checkpoint) }
  } catch (error) {
    return { ...nothing, problem: problemOf(error) }
  }
}

/** A first stage alone is checked by what uses it. */
function placesIn(checkpoint: Checkpoint): Pick<Recognition, 'unplaced' | 'unneeded' | 'problem'> {
  if (checkpoint.info.config.unet_config === undefined) return nothing
  try {
    const { unplaced, unneeded } = checkpointModel(checkpoint)
    return { unplaced, unneeded }
  } catch (error) {
    return { ...nothing, problem: problemOf(error) }
  }
}

/** What a refusal says; anything else is a fault of ours. */
function problemOf(error: unknown): string {
  if (error instanceof FileError) return error.message.replace(`${error.file}: `, '')
  if (error instanceof SchemaError) return error.message
  throw error
}

/** The lines of it for people. */
export function recognitionText({ family, config, unplaced, unneeded, problem }: Recognition): string[] {
  return [
    ...(family ? [`family ${family}`] : []),
    ...(config ? ['config', ...tree(config)] : []),
    ...Object.entries(unneeded).map(([why, count]) => `not needed: ${count} tensors, ${why}`),
    ...(unplaced.length > 0
      ? [`without a place: ${unplaced.length} tensors`, ...unplaced.map(name => `  ${name}`)]
      : []),
    ...(problem === undefined ? [] : [`cannot be loaded: ${problem}`]),
  ]
}
