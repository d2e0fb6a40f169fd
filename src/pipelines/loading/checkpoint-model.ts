import { type ConditionsReader, deepestCondition, readersOf } from '../../conditioning/index.js'
import { modelSchedule } from '../../diffusion/index.js'
import type { Size } from '../../image/index.js'
import { FileError } from '../../platform/errors.js'
import { validate } from '../../schema/index.js'
import type { Program } from '../../tensor/program.js'
import type { Checkpoint } from '../../weights/checkpoint.js'
import { expectTensors } from '../../weights/expect-tensors.js'
import { whyUnneeded } from '../../weights/families/index.js'
import type { StoredTensor, TensorFile, TensorInfo } from '../../weights/tensor-file.js'
import { type ModelConfig, modelConfig, trainedSize } from '../model-config.js'
import { conditionProgram, decodingProgram, denoisingProgram, encodingProgram } from '../programs.js'

/** Tensors that can be read one by one. */
export type ReadableWeights = Pick<TensorFile<TensorInfo | StoredTensor>, 'tensors' | 'read'>

/** A checkpoint that was found to hold a whole model. */
export interface CheckpointModel {
  readonly checkpoint: Checkpoint
  readonly config: ModelConfig
  readonly conditions: ConditionsReader
  readonly alphasCumprod: Float64Array
  /** Tensors of the file that no network has a place for, and that are not known to be of no use. */
  readonly unplaced: readonly string[]
  /** How many tensors of the file are known to be of no use, by the reason. */
  readonly unneeded: Readonly<Record<string, number>>
  /** Where its networks take their weights: the checkpoint's own, with what adapters make of them. */
  readonly weights: ReadableWeights
  /** What was added to the model, for its pictures' settings: `Lora` -> `style:0.7`. */
  readonly added?: Readonly<Record<string, string>>
  /** Puts what is added to the model into its programs. */
  readonly adapt: (program: Program) => Program
}

/**
 * Reads the model that a checkpoint describes and holds it against the weights that are there.
 *
 * @throws FileError and SchemaError, naming the file, where they do not fit together.
 */
export function checkpointModel(checkpoint: Checkpoint): CheckpointModel {
  const { name, info, weights } = checkpoint
  const config = validate(modelConfig, info.config, `${name}: config`)
  const { unet_config, conditioning, diffusion } = config
  if (unet_config === undefined || diffusion === undefined) {
    throw new FileError(
      name,
      'holds a first stage alone: it can reconstruct pictures, not generate them; train a diffusion model over it, or give it as vae (--vae) beside a model',
    )
  }
  checkDepth(name, config, weights.size)
  const conditions = readersOf(name, conditioning, info)
  const size = { width: trainedSize(config), height: trainedSize(config) }
  const wanted = parametersOf(generationPrograms(name, config, size))
  expectTensors({ name, tensors: weights }, wanted, { what: 'the model' })
  return {
    checkpoint,
    config,
    conditions,
    ...leftOver(checkpoint, wanted, () => parametersOf([encodingProgram(config, size)])),
    alphasCumprod: modelSchedule(diffusion).alphasCumprod,
    weights: { tensors: weights, read: checkpoint.read },
    ...(checkpoint.others && { added: checkpoint.others }),
    adapt: program => program,
  }
}

/** All that a generation runs; what a configuration says can be well formed and still be no network. */
function generationPrograms(name: string, config: ModelConfig, size: Size): Program[] {
  try {
    return [denoisingProgram(config, size), decodingProgram(config, size), conditionProgram(config, size) ?? []].flat()
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new FileError(name, `its configuration describes no network: ${cause.message}`, { cause })
  }
}

const parametersOf = (programs: readonly Program[]): Map<string, readonly number[]> =>
  new Map(programs.flatMap(program => program.parameters.map(({ name, shape }) => [name, shape] as const)))

/** What of another tool's checkpoint no network takes, the encoder's neither; latentkit's own hold nothing but what it wrote. */
function leftOver(
  { origin, weights }: Checkpoint,
  wanted: ReadonlyMap<string, unknown>,
  encoder: () => ReadonlyMap<string, unknown>,
) {
  const unplaced: string[] = []
  const unneeded: Record<string, number> = {}
  if (origin === undefined) return { unplaced, unneeded }
  const encoded = encoder()
  for (const name of weights.keys()) {
    if (wanted.has(name) || encoded.has(name)) continue
    const why = whyUnneeded(name)
    if (why === undefined) unplaced.push(name)
    else unneeded[why] = (unneeded[why] ?? 0) + 1
  }
  return { unplaced, unneeded }
}

/** Every layer has a tensor at least: a config of more layers than that would only cost time before it is refused. */
function checkDepth(name: string, { first_stage_config, unet_config, conditioning }: ModelConfig, tensors: number) {
  const most = (...counts: (number | readonly number[] | undefined)[]) => Math.max(...counts.flatMap(n => n ?? 0))
  const ddconfig = 'ddconfig' in first_stage_config ? first_stage_config.ddconfig : undefined
  const deepest = most(
    ddconfig?.ch_mult.length,
    ddconfig?.num_res_blocks,
    unet_config?.channel_mult.length,
    unet_config?.num_res_blocks,
    unet_config?.transformer_depth,
    unet_config?.transformer_depth_middle,
    deepestCondition(conditioning),
  )
  if (deepest > tensors)
    throw new FileError(name, `describes a model of ${deepest} layers in a row, but holds only ${tensors} tensors`)
}
