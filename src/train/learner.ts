import { checkpointMarks } from '../autodiff/checkpoint-marks.js'
import type { DataState } from '../data/batching.js'
import { adamw, ema } from '../optim/index.js'
import { type ModelFileOptions, openModelFile } from '../pipelines/loading/model-file.js'
import { FileError } from '../platform/errors.js'
import type { SourceLike } from '../platform/types.js'
import type { Device, HostTensors, TrainingState, TrainingStep, WeightSource } from '../runtime/index.js'
import type { Parameter, Program } from '../tensor/program.js'
import { sizeOf } from '../tensor/shape.js'
import { type Checkpoint, type CheckpointInfo, writeCheckpoint } from '../weights/checkpoint.js'
import { fromFloat32, toFloat32 } from '../weights/dtypes.js'
import { expectTensors } from '../weights/expect-tensors.js'
import type { TensorToWrite } from '../weights/safetensors.js'
import type { Learner, Losses } from './fit.js'
import { initialise } from './initialise.js'
import { lossScaled } from './loss-scale.js'
import type { Progress } from './progress.js'
import { progressSchema } from './progress.js'
import type { TrainingSettings } from './settings.js'

export interface LearnerOptions {
  readonly device: Device
  /** With an output `loss`, scalars beside it. */
  readonly program: Program
  /** The program for a batch of another shape, over the same parameters; `program` for all by default. */
  readonly programFor?: ((inputs: HostTensors) => Program) | undefined
  /** Weights that the program uses and training leaves alone. */
  readonly frozen: WeightSource
  readonly settings: TrainingSettings
  /** Where checkpoints are written: a .safetensors file. */
  readonly path: string
  /** What a checkpoint says about itself. */
  readonly info: CheckpointInfo
  /** States whose parameters the program reads, and that are trained by themselves. */
  readonly beside?: readonly TrainingState[]
  /** More that an exact resume needs, by its names in the checkpoint's training state. */
  readonly more?: () => Promise<ReadonlyMap<string, TensorToWrite>>
  /** Weights that belong into a checkpoint besides the trained ones, so that it is alone enough to generate. */
  readonly also?: ReadonlyMap<string, TensorToWrite>
  /** A checkpoint to go on from. */
  readonly resume?: Checkpoint | undefined
  /** A checkpoint whose weights a new run begins with. */
  readonly start?: Checkpoint | undefined
  /** Numbers with which some parameters of a new run begin instead. */
  readonly begin?: ReadonlyMap<string, Float32Array> | undefined
}

/** Where evaluation compiles its programs, and what of the state they use. */
export interface Evaluation {
  readonly state: Pick<TrainingState, 'compile'>
  /** The averages where there are any. */
  readonly use: 'ema' | 'parameter'
}

/** A learner on a device, with the state that evaluation compiles its programs on. */
export interface DeviceLearner extends Learner, Evaluation, AsyncDisposable {
  /** Adds gradients of a batch, and hands out all that the program gives. */
  accumulate(inputs: HostTensors, scale: number): Promise<Losses & { readonly outputs: HostTensors }>
  readonly state: TrainingState
  readonly progress: Progress | undefined
}

/** Puts a program's parameters on a device, newly drawn or as a checkpoint has them, ready to be trained. */
export async function openLearner(options: LearnerOptions): Promise<DeviceLearner> {
  const { device, frozen, settings, path, info, beside = [], also = new Map(), resume, start, begin } = options
  const marked = (program: Program) => (settings.checkpoint ? checkpointMarks(program) : program)
  const program = marked(options.program)
  const elsewhere = (name: string) => frozen.get(name) !== undefined || beside.some(state => state.holds(name))
  const parameters = program.parameters.filter(({ name }) => !elsewhere(name))
  const values = start ? await weightsOf(start, parameters) : initialise(parameters, settings.seed)
  const state = await device.state(
    parameters.map(({ name, shape }) => ({ name, shape, data: begin?.get(name) ?? values.get(name)! })),
    {
      optimiser: adamw({
        betas: settings.betas,
        epsilon: settings.epsilon,
        weightDecay: settings.weight_decay,
      }),
      ...(settings.ema && { ema: ema({ decay: settings.ema.decay, warmup: settings.ema.warm_up }) }),
    },
  )
  const progress = resume && (await restore(state, parameters, resume))
  await state.broadcast()
  const half = settings.precision === 'mixed'
  const compile = (program: Program) => state.training(marked(program), { frozen, beside, half })
  const step = await stepsByShape(compile, options.program, options.programFor)
  const scaled = half ? lossScaled(state, step, progress?.lossScale) : undefined
  const use = settings.ema ? 'ema' : 'parameter'
  const clip = settings.clip === undefined ? {} : { clip: settings.clip }

  async function save(done: number, data: DataState | undefined): Promise<void> {
    const shapes = new Map(parameters.map(({ name, shape }) => [name, shape]))
    const weights = new Map<string, TensorToWrite>(also)
    const tensors = new Map<string, TensorToWrite>(await options.more?.())
    for (const [array, values] of (await state.snapshot()).arrays) {
      for (const [name, numbers] of values) {
        const tensor = fromFloat32(numbers, shapes.get(name)!)
        if (array === use) weights.set(name, tensor)
        else tensors.set(`${array}.${name}`, tensor)
      }
    }
    const values = {
      step: done,
      updates: state.updates,
      tuned: device.tuned,
      ...(scaled && { lossScale: scaled.lossScale }),
      ...(data && { data }),
    } satisfies Progress
    await writeCheckpoint(path, { info, weights, training: { values, tensors } })
  }

  return {
    state,
    path,
    use,
    progress,
    parameters: parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0),
    save,
    async accumulate(inputs, scale) {
      const outputs = await (scaled ?? step).accumulate(inputs, { scale })
      return { ...lossesOf(outputs), outputs }
    },
    update: learningRate => (scaled ?? state).update({ learningRate, ...clip }),
    async [Symbol.asyncDispose]() {
      await step.dispose()
      await state.dispose()
    },
  }
}

/** One step for all batches, or one for each shape of their inputs, compiled when the first of them comes. */
export async function stepsByShape(
  compile: (program: Program) => Promise<TrainingStep>,
  program: Program,
  programFor: LearnerOptions['programFor'],
): Promise<Pick<TrainingStep, 'accumulate' | 'dispose'>> {
  if (!programFor) return compile(program)
  const steps = new Map<string, Promise<TrainingStep>>()
  return {
    async accumulate(inputs, options) {
      const key = Object.values(inputs)
        .map(({ shape }) => shape.join('x'))
        .join()
      const step = steps.get(key) ?? compile(programFor(inputs))
      steps.set(key, step)
      return (await step).accumulate(inputs, options)
    },
    async dispose() {
      for (const step of steps.values()) await (await step).dispose()
    },
  }
}

/** The loss and its terms among what a program gives: the scalars. */
export function lossesOf(outputs: HostTensors): Losses {
  const scalars = Object.entries(outputs).filter(([, { shape }]) => shape.length === 0)
  const { loss, ...terms } = Object.fromEntries(scalars.map(([name, { data }]) => [name, Number(data[0])]))
  return { loss: loss!, terms: terms as Record<string, number> }
}

async function weightsOf(from: Checkpoint, parameters: readonly Parameter[]): Promise<Map<string, Float32Array>> {
  const wanted = new Map(parameters.map(({ name, shape }) => [name, shape]))
  expectTensors({ name: from.name, tensors: from.weights }, wanted, { what: 'the weights to start from' })
  const values = new Map<string, Float32Array>()
  for (const name of wanted.keys()) values.set(name, toFloat32(await from.read(name)))
  return values
}

async function restore(state: TrainingState, parameters: readonly Parameter[], from: Checkpoint): Promise<Progress> {
  const { training } = from
  if (training === undefined) {
    throw new FileError(from.name, 'holds weights alone, no training state: it cannot be resumed, only started from')
  }
  const progress = progressSchema.safeParse(training.values)
  if (!progress.success) throw new FileError(from.name, 'is a damaged checkpoint: it does not say how far training was')
  const wanted = new Map(parameters.map(({ name, shape }) => [name, shape]))
  expectTensors({ name: from.name, tensors: from.weights }, wanted, { what: 'the weights to go on from' })
  const arrays = new Map<string, Map<string, Float32Array>>()
  const inWeights = state.arrays.includes('ema') ? 'ema' : 'parameter'
  for (const array of state.arrays) {
    const prefix = array === inWeights ? '' : `${array}.`
    if (prefix !== '')
      expectTensors({ name: from.name, tensors: training.tensors }, wanted, { what: `the state "${array}"`, prefix })
    const values = new Map<string, Float32Array>()
    for (const name of wanted.keys()) {
      const stored = prefix === '' ? await from.read(name) : await from.readTraining(prefix + name)
      values.set(name, toFloat32(stored))
    }
    arrays.set(array, values)
  }
  await state.restore({ updates: progress.data.updates, arrays })
  return progress.data
}

/**
 * Opens a checkpoint, of latentkit or of another tool that it knows, to train on from it or to use it as a first stage;
 * close it when done.
 *
 * @throws FileError where it is missing, damaged or of no known kind.
 */
export const checkpointAt = (from: SourceLike, options: ModelFileOptions = {}): Promise<Checkpoint> =>
  openModelFile(from, options)
