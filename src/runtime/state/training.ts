import { gradients } from '../../autodiff/gradients.js'
import { mul } from '../../tensor/binary.js'
import type { Program } from '../../tensor/program.js'
import { sizeOf } from '../../tensor/shape.js'
import { apply, f32, input } from '../../tensor/tensor.js'
import { type CompiledModel, compileModel } from '../compile.js'
import type { DeviceHost } from '../device-host.js'
import { copied, type Executable, makeExecutable, type RunOptions } from '../executable.js'
import { checkInputs, type HostTensor, type HostTensors, hostTensor } from '../host-tensor.js'
import type { Weights } from '../weights/numbers.js'
import { chunkName, flattenParameters } from './flatten.js'
import type { Layout } from './layout.js'
import { type Averaging, averageArray, type Optimiser } from './optimiser.js'
import { planState } from './state-plan.js'

/** A parameter with the numbers it starts from. */
export interface StartingParameter {
  readonly name: string
  readonly shape: readonly number[]
  readonly data: Float32Array
}

export interface StateOptions {
  readonly optimiser: Optimiser
  /** Keeps a running average of the parameters, which starts as they do. */
  readonly ema?: Averaging
}

/** All that an exact resume needs: the arrays by name (`parameter`, the moments, `ema`), and the number of updates. */
export interface StateSnapshot {
  readonly updates: number
  readonly arrays: ReadonlyMap<string, ReadonlyMap<string, Float32Array>>
}

/** Where a program's parameters come from that a state does not train. */
export interface OtherWeights {
  readonly frozen?: Weights
  /** States whose parameters the program uses as they stand whenever it runs. */
  readonly beside?: readonly TrainingState[]
}

export interface UpdateOptions {
  readonly learningRate: number
  /** Largest norm of all gradients together; larger ones are scaled down to it. */
  readonly clip?: number
}

export interface AccumulateOptions extends RunOptions {
  /** Factor of this batch's gradients, 1 / batches when they are accumulated; 1 by default. */
  readonly scale?: number
}

/** A program compiled to loss and gradients; the gradients stay with the state. */
export interface TrainingStep extends AsyncDisposable {
  readonly program: Program
  /** Runs the program, adds `scale` times the gradients to the state's, and returns the outputs. */
  accumulate(inputs: HostTensors, options?: AccumulateOptions): Promise<Record<string, HostTensor>>
  dispose(): Promise<void>
}

/** How a step is compiled. */
export interface StepOptions extends OtherWeights {
  /**
   * Multiplies in f16, with weights, optimiser and all else in f32. Gradients that overflow make `update` return a norm that
   * is not finite: halve `lossScale` and compute them again.
   */
  readonly half?: boolean
}

interface Parts {
  readonly id: number
  readonly names: ReadonlySet<string>
  readonly options: StateOptions
  readonly layout: Layout | undefined
}

/** The input by which a step that computes in f16 multiplies the loss, so that small gradients do not vanish there. */
const lossScaleInput = 'loss scale'

/** The gradients of the loss times an input, and the loss as it is. */
function scaledGradients(program: Program, names: readonly string[]): Program {
  const scale = apply(input, [], { name: lossScaleInput, ...f32() })
  const { loss } = program.outputs
  const scaled = gradients({ ...program, outputs: { ...program.outputs, loss: mul(loss!, scale) } }, names)
  return {
    ...scaled,
    inputs: { ...program.inputs, [lossScaleInput]: scale },
    outputs: { ...scaled.outputs, loss: loss! },
  }
}

/** What a model calls the parameters of a state beside its own. */
const besideName = (index: number): string => `beside ${index}`

/** Parameters being trained, their gradients, moments and averages: flat arrays in the memory of the worker or of the device. */
export class TrainingState implements AsyncDisposable {
  /** Updates so far. */
  updates = 0
  /** What losses are multiplied by where steps compute in f16. Source of the first: torch.amp.GradScaler. */
  lossScale = 2 ** 16
  #half = false
  readonly #host: DeviceHost
  readonly #id: number
  readonly #names: ReadonlySet<string>
  readonly #options: StateOptions
  readonly #layout: Layout | undefined

  private constructor(host: DeviceHost, { id, names, options, layout }: Parts) {
    this.#host = host
    this.#id = id
    this.#names = names
    this.#options = options
    this.#layout = layout
  }

  static async create(
    host: DeviceHost,
    parameters: readonly StartingParameter[],
    options: StateOptions,
  ): Promise<TrainingState> {
    for (const { name, shape, data } of parameters) {
      if (data.length !== sizeOf(shape)) {
        throw new RangeError(`state: the parameter "${name}" of shape [${shape}] starts from ${data.length} numbers`)
      }
    }
    const { spec, layout } = planState(host, parameters, options.optimiser, options.ema)
    const id = await host.engine.call('createState', [spec])
    const names = parameters.map(({ name }) => name)
    const state = new TrainingState(host, { id, names: new Set(names), options, layout })
    await state.write('parameter', new Map(parameters.map(({ name, data }) => [name, data])))
    if (options.ema) await host.engine.call('copyState', [id, 'parameter', averageArray])
    return state
  }

  /** Whether a parameter is among those of this state. */
  holds(name: string): boolean {
    return this.#names.has(name)
  }

  /** Names of the arrays that a snapshot holds. */
  get arrays(): string[] {
    return ['parameter', ...this.#options.optimiser.moments, ...(this.#options.ema ? [averageArray] : [])]
  }

  /**
   * Compiles a program with an output `loss` into a step that trains those of its parameters that this state holds; those
   * of the states `beside` it are read where they lie, the others are `frozen` and taken from there.
   */
  async training(program: Program, { half = false, ...others }: StepOptions = {}): Promise<TrainingStep> {
    const trained = this.#held(program)
    const whole = half ? scaledGradients(program, trained) : gradients(program, trained)
    this.#half ||= half
    const { engine } = this.#host
    const { model } = await this.#model(whole, true, { half, ...others })
    const onDevice = this.#layout?.lengths.map((_, i) => chunkName('gradient', i)) ?? []
    const state = { ...this.#use(program, 'parameter', others), gradients: trained }
    const step = await engine.call('createSession', [{ ...model, state, onDevice }])
    const dispose = () => engine.callUnlessDead('releaseSession', [step])
    return {
      program,
      accumulate: async (inputs, { scale = 1, signal } = {}) => {
        checkInputs(inputs, program.inputs)
        const given = half ? { ...inputs, [lossScaleInput]: hostTensor(this.lossScale) } : inputs
        return engine.call('accumulate', [step, copied(given), scale], signal)
      },
      dispose,
      [Symbol.asyncDispose]: dispose,
    }
  }

  /** Compiles a program that uses this state's parameters, or their averages, as they stand whenever it runs. */
  async compile(
    program: Program,
    { use = 'parameter', ...others }: { use?: 'parameter' | 'ema' } & OtherWeights = {},
  ): Promise<Executable> {
    const state = this.#use(program, use, others)
    return makeExecutable(this.#host, program, await this.#model(program, false, others), { state })
  }

  /**
   * Averages the accumulated gradients over all processes that train together, clips them, updates parameters, moments
   * and averages in place and forgets the gradients. Where the norm is not finite nothing is updated, and it is returned
   * all the same.
   */
  async update({ learningRate, clip }: UpdateOptions): Promise<{ gradientNorm: number }> {
    const step = this.updates + 1
    const scalars = { ...this.#options.optimiser.scalars(step, learningRate), ...this.#options.ema?.scalars(step) }
    const gradientNorm = await this.#host.engine.call('updateState', [
      this.#id,
      scalars,
      clip,
      this.#half ? this.lossScale : 1,
    ])
    if (Number.isFinite(gradientNorm)) this.updates = step
    return { gradientNorm }
  }

  /** A copy of an array by parameter: `parameter`, `gradient`, `ema` or a moment; of the named parameters or of all. */
  async read(array: string, names?: readonly string[]): Promise<Map<string, Float32Array<ArrayBuffer>>> {
    return this.#host.engine.call('readState', names ? [this.#id, array, names] : [this.#id, array])
  }

  /** Overwrites an array of the named parameters. */
  async write(array: string, values: ReadonlyMap<string, Float32Array>): Promise<void> {
    for (const name of values.keys()) {
      if (!this.#names.has(name)) throw new RangeError(`write: the training state has no parameter "${name}"`)
    }
    const copies = new Map([...values].map(([name, data]) => [name, data.slice()]))
    await this.#host.engine.call('writeState', [this.#id, array, copies])
  }

  /** A copy of all that an exact resume needs, between updates: accumulated gradients are not part of it. */
  async snapshot(): Promise<StateSnapshot> {
    const arrays = new Map<string, Map<string, Float32Array>>()
    for (const array of this.arrays) arrays.set(array, await this.read(array))
    return { updates: this.updates, arrays }
  }

  /** Goes on from a snapshot of a state with the same parameters, optimiser and averaging. */
  async restore({ updates, arrays }: StateSnapshot): Promise<void> {
    for (const array of this.arrays) {
      const values = arrays.get(array)
      const missing = values === undefined ? array : [...this.#names].find(name => !values.has(name))
      if (missing !== undefined) throw new RangeError(`restore: the snapshot has no "${missing}"`)
    }
    for (const array of this.arrays) await this.write(array, arrays.get(array)!)
    this.updates = updates
  }

  /** Makes the state that of process 0, in all processes that train together. */
  async broadcast(): Promise<void> {
    for (const array of this.arrays) await this.#host.engine.call('broadcastState', [this.#id, array])
  }

  /** Frees its memory. Dispose of the executables that use it as well. */
  async dispose(): Promise<void> {
    await this.#host.engine.callUnlessDead('releaseState', [this.#id])
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }

  #held(program: Program): string[] {
    return program.parameters.map(({ name }) => name).filter(name => this.#names.has(name))
  }

  /** What a session of the program reads of this state and those beside it. */
  #use(program: Program, feed: string, { beside = [] }: OtherWeights) {
    const read = (state: TrainingState, feed: string, as: string) => ({
      id: state.#id,
      feed,
      as,
      parameters: state.#held(program),
    })
    const others = beside.map((state, i) => read(state, 'parameter', besideName(i)))
    return { ...read(this, feed, 'parameter'), gradients: [], beside: others }
  }

  #model(
    program: Program,
    training: boolean,
    { frozen = new Map(), beside = [], half = false }: StepOptions,
  ): Promise<CompiledModel> {
    let whole = program
    const states = [this, ...beside]
    for (const [i, state] of states.entries()) {
      const layout = state.#layout
      if (layout) whole = flattenParameters(whole, layout, i === 0 ? 'parameter' : besideName(i - 1))
    }
    const fed = new Set(states.flatMap(state => state.#held(whole)))
    return compileModel(this.#host, whole, { training, half, weights: frozen, fed })
  }
}
