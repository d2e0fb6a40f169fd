import { adamw } from '../../optim/index.js'
import {
  type Device,
  type HostTensors,
  hostTensor,
  type TrainingState,
  type TrainingStep,
} from '../../runtime/index.js'
import type { Program } from '../../tensor/program.js'
import type { Checkpoint } from '../../weights/checkpoint.js'
import { fromFloat32, toFloat32 } from '../../weights/dtypes.js'
import { expectTensors } from '../../weights/expect-tensors.js'
import type { TensorToWrite } from '../../weights/safetensors.js'
import { initialise } from '../initialise.js'
import { lossesOf, stepsByShape } from '../learner.js'
import type { TrainingSettings } from '../settings.js'
import { actNormStartProgram, discriminatorProgram } from './adversary-programs.js'
import { afterName, discriminatorScope, type FirstStageTraining, sidesOfImages, statisticsOf } from './training.js'

export interface AdversaryOptions {
  readonly device: Device
  readonly training: FirstStageTraining
  readonly settings: TrainingSettings
  /** Side of the images, as long as they are squares of one size. */
  readonly size: number
  /** Whether they are of several shapes. */
  readonly bucketed?: boolean
  /** A checkpoint to go on from. */
  readonly resume?: Checkpoint | undefined
}

/** A batch of a step with its share of the gradients. */
export interface Share {
  readonly inputs: HostTensors
  readonly scale: number
}

/** A discriminator with its own optimiser, beside the autoencoder that it judges. */
export interface Adversary extends AsyncDisposable {
  readonly state: TrainingState
  /** Compiles its step, which reads the autoencoder's weights as they stand. */
  beside(generator: TrainingState): Promise<void>
  /** What the programs of a step (counted from 0) take because of it. */
  inputs(step: number): HostTensors
  /** Where ActNorm starts is told by the first batch of a run. */
  start(inputs: HostTensors): Promise<void>
  /** Takes the running statistics from the outputs of a program. */
  take(outputs: HostTensors): void
  /** Trains on the batches of a step, once it takes part; the terms of its loss. */
  learn(shares: readonly Share[], step: number, learningRate: number): Promise<Record<string, number>>
  /** What a checkpoint holds of it. */
  tensors(): Promise<Map<string, TensorToWrite>>
}

const prefix = 'discriminator.'

/** Puts a discriminator on a device, newly drawn or as a checkpoint has it. */
export async function openAdversary(options: AdversaryOptions): Promise<Adversary> {
  const { device, training, settings, size, bucketed = false, resume } = options
  const program = discriminatorProgram(training, settings.batch, size)
  const parameters = program.parameters.filter(({ name }) => name.startsWith(`${discriminatorScope}.`))
  const drawn = initialise(parameters, settings.seed)
  const { betas, epsilon, weight_decay: weightDecay } = settings
  const state = await device.state(
    parameters.map(({ name, shape }) => ({ name, shape, data: drawn.get(name)! })),
    { optimiser: adamw({ betas, epsilon, weightDecay }) },
  )
  const shapes = new Map(parameters.map(({ name, shape }) => [name, shape]))
  const clip = settings.clip === undefined ? {} : { clip: settings.clip }
  const widths = Object.entries(statisticsOf(training))
  // Torch's start: mean 0, variance 1.
  let statistics = Object.fromEntries(
    widths.map(([name, channels]) => {
      const value = name.endsWith('_var') ? 1 : 0
      return [name, hostTensor(new Float32Array(channels).fill(value))]
    }),
  )
  if (resume) await restore(resume)
  let started = !training.loss.use_actnorm || resume !== undefined
  let step: Pick<TrainingStep, 'accumulate' | 'dispose'> | undefined
  let generator: TrainingState | undefined

  async function restore(from: Checkpoint): Promise<void> {
    const wanted = new Map<string, readonly number[]>(widths.map(([name, channels]) => [name, [channels]]))
    for (const array of state.arrays) for (const [name, shape] of shapes) wanted.set(`${array}.${name}`, shape)
    const tensors = from.training?.tensors ?? new Map()
    expectTensors({ name: from.name, tensors }, wanted, { what: 'the discriminator', prefix })
    const read = async (name: string) => toFloat32(await from.readTraining(prefix + name))
    for (const array of state.arrays) {
      const values = new Map<string, Float32Array>()
      for (const name of shapes.keys()) values.set(name, await read(`${array}.${name}`))
      await state.write(array, values)
    }
    for (const [name] of widths) statistics[name] = hostTensor(await read(name))
  }

  const factorOf = (at: number) => (at < training.loss.disc_start! ? 0 : training.loss.disc_factor)
  const take = (outputs: HostTensors) => {
    statistics = Object.fromEntries(widths.map(([name]) => [name, outputs[afterName(name)]!]))
  }

  return {
    state,
    take,
    async beside(autoencoder) {
      generator = autoencoder
      const compile = (program: Program) => state.training(program, { beside: [autoencoder] })
      const programFor = (inputs: HostTensors) => discriminatorProgram(training, settings.batch, sidesOfImages(inputs))
      step = await stepsByShape(compile, program, bucketed ? programFor : undefined)
    },
    inputs: at => ({ disc_factor: hostTensor([factorOf(at)], []), ...statistics }),
    async start(inputs) {
      if (started) return
      started = true
      const measure = actNormStartProgram(training, settings.batch, sidesOfImages(inputs))
      await using run = await generator!.compile(measure, { beside: [state] })
      const values = Object.entries(await run(inputs)).map(([name, { data }]) => [name, data as Float32Array] as const)
      await state.write('parameter', new Map(values))
      await state.broadcast()
    },
    async learn(shares, at, learningRate) {
      if (factorOf(at) === 0) return {}
      const terms: Record<string, number> = {}
      for (const { inputs, scale } of shares) {
        const outputs = await step!.accumulate({ ...inputs, ...statistics }, { scale })
        take(outputs)
        for (const [name, value] of Object.entries(lossesOf(outputs).terms)) {
          terms[name] = (terms[name] ?? 0) + scale * value
        }
      }
      // The original's optimiser counts the steps in which the discriminator takes no part as well.
      state.updates = at
      const { gradientNorm } = await state.update({ learningRate, ...clip })
      return { ...terms, disc_gradient_norm: gradientNorm }
    },
    async tensors() {
      const tensors = new Map<string, TensorToWrite>()
      for (const [array, values] of (await state.snapshot()).arrays) {
        for (const [name, numbers] of values) {
          tensors.set(`${prefix}${array}.${name}`, fromFloat32(numbers, shapes.get(name)!))
        }
      }
      for (const [name, { data, shape }] of Object.entries(statistics)) {
        tensors.set(prefix + name, fromFloat32(data as Float32Array, shape))
      }
      return tensors
    },
    async [Symbol.asyncDispose]() {
      await step?.dispose()
      await state.dispose()
    },
  }
}
