import type { InferenceSession, OnnxValue, Tensor, TypedTensor } from 'onnxruntime-common'
import { collectGarbage, joinWorld, loadOnnxRuntime } from '#platform'
import type { OnnxRuntime } from '../../platform/onnxruntime.js'
import type { World, WorldPlace } from '../../platform/types.js'
import { alone } from '../../platform/world.js'
import { type HostTensor, type HostTensors, hostTensorOf } from '../host-tensor.js'
import type { EngineState, Feeds, StateUse } from '../state/engine-state.js'
import { GpuState } from '../state/gpu-state.js'
import { HostState } from '../state/host-state.js'
import { Ahead } from './ahead.js'
import {
  type AheadSpec,
  buffersIn,
  type EngineCalls,
  type ModelSpec,
  type OpenedDevice,
  type StateSpec,
} from './engine-calls.js'
import { executionProviders, sessionOptions } from './session-options.js'

const typeNames = { f32: 'float32', f16: 'float16', i64: 'int64', bool: 'bool', i8: 'int8' } as const
const dtypes = { float32: 'f32', float16: 'f16', int64: 'i64', bool: 'bool' } as const

interface Session {
  readonly session: InferenceSession
  /** Weights that are fed in every run, from where they lie. */
  readonly held: Feeds
  readonly use: StateUse | undefined
  /** What is computed before it of inputs that rarely change. */
  readonly ahead: { readonly inputs: readonly string[]; readonly results: Ahead } | undefined
}

/** Owns the sessions and the training states; lives in the worker thread. */
export class Engine implements EngineCalls {
  #runtime: OnnxRuntime | undefined
  #device = 'cpu'
  #threads = 1
  #next = 1
  #world: World = alone
  readonly #sessions = new Map<number, Session>()
  readonly #states = new Map<number, EngineState>()

  async open(device: string, threads: number): Promise<OpenedDevice> {
    const runtime = await loadOnnxRuntime(device, threads)
    const [provider] = executionProviders(device)
    if (!runtime.providers.includes(provider!)) {
      throw new Error(
        `onnxruntime is built without ${provider} for this system; it has ${runtime.providers.join(', ')}`,
      )
    }
    this.#runtime = runtime
    this.#device = device
    this.#threads = threads
    const { native, largestBuffer } = runtime
    return { native, ...(largestBuffer !== undefined && { largestBuffer }) }
  }

  async close(): Promise<void> {
    for (const id of [...this.#sessions.keys()]) await this.releaseSession(id)
    for (const id of [...this.#states.keys()]) await this.releaseState(id)
  }

  async createSession(model: ModelSpec): Promise<number> {
    const id = this.#next++
    const held = this.#tensors(model.held ?? {})
    const ahead = model.ahead && this.#ahead(model.ahead)
    this.#sessions.set(id, { session: await this.#load(model), held, use: model.state, ahead })
    return id
  }

  async run(id: number, inputs: HostTensors): Promise<HostTensors> {
    const { session, held, use, ahead } = this.#session(id)
    const fed = use && { ...this.#state(use.id).feeds(use), ...this.#beside(use) }
    const steady = ahead && (await ahead.results.of(only(ahead.inputs, inputs), given => this.#tensors(given)))
    const given = ahead ? only(session.inputNames, inputs) : inputs
    return this.#results(await session.run({ ...this.#tensors(given), ...steady, ...held, ...fed }))
  }

  async accumulate(id: number, inputs: HostTensors, scale: number): Promise<HostTensors> {
    const { session, use } = this.#session(id)
    const given = { ...this.#tensors(inputs), ...this.#beside(use!) }
    return this.#results(await this.#state(use!.id).accumulate(session, use!, given, scale))
  }

  async releaseSession(id: number): Promise<void> {
    await this.#release(id)
    collectGarbage()
  }

  /** By itself, so that nobody holds the weights any more when garbage is collected. */
  async #release(id: number): Promise<void> {
    const found = this.#sessions.get(id)
    this.#sessions.delete(id)
    await found?.session.release()
    await found?.ahead?.results.release()
  }

  async createState(spec: StateSpec): Promise<number> {
    const id = this.#next++
    this.#states.set(
      id,
      'kernel' in spec.update
        ? await HostState.create(this.#ort, spec, spec.update.kernel)
        : await GpuState.create(this.#ort, spec, spec.update.graphs, (bytes, onDevice) =>
            this.#load({ bytes, externalData: [], folder: undefined, settled: true, double: false, onDevice }),
          ),
    )
    return id
  }

  async writeState(id: number, array: string, values: ReadonlyMap<string, Float32Array>): Promise<void> {
    return this.#state(id).write(array, values)
  }

  async readState(
    id: number,
    array: string,
    names?: readonly string[],
  ): Promise<Map<string, Float32Array<ArrayBuffer>>> {
    return this.#state(id).read(array, names)
  }

  async copyState(id: number, from: string, to: string): Promise<void> {
    return this.#state(id).copy(from, to)
  }

  async updateState(
    id: number,
    scalars: Readonly<Record<string, number>>,
    clip: number | undefined,
    lossScale: number,
  ): Promise<number> {
    return this.#state(id).update(scalars, clip, this.#world, lossScale)
  }

  async broadcastState(id: number, array: string): Promise<void> {
    return this.#state(id).broadcast(array, this.#world)
  }

  async releaseState(id: number): Promise<void> {
    const found = this.#states.get(id)
    this.#states.delete(id)
    await found?.dispose()
    collectGarbage()
  }

  async joinWorld(): Promise<WorldPlace> {
    this.#world = await joinWorld()
    const { rank, size } = this.#world
    return { rank, size }
  }

  async sum(numbers: Float64Array<ArrayBuffer>): Promise<Float64Array<ArrayBuffer>> {
    await this.#world.allReduce(numbers)
    return numbers
  }

  async barrier(): Promise<void> {
    return this.#world.barrier()
  }

  async interruptWorld(): Promise<void> {
    this.#world.interrupt()
  }

  async isHeir(): Promise<boolean> {
    return this.#world.isHeir()
  }

  async leaveWorld(): Promise<void> {
    const world = this.#world
    this.#world = alone
    return world.leave()
  }

  #ahead({ model, inputs }: AheadSpec) {
    const held = this.#tensors(model.held ?? {})
    const again = model.externalData.length === 0
    return { inputs, results: new Ahead(() => this.#load(model), { held, again }) }
  }

  async #load(model: ModelSpec): Promise<InferenceSession> {
    const { bytes, externalData } = model
    const session = await this.#ort.InferenceSession.create(bytes as Uint8Array, {
      ...sessionOptions(this.#threads, model),
      executionProviders: executionProviders(this.#device),
      ...(externalData.length > 0 && { externalData: [...externalData] }),
    })
    if (externalData.length > 0) {
      // The session has copies of these: they move to where nobody has them, and from there to the system.
      structuredClone(null, { transfer: [...buffersIn(externalData)] })
      collectGarbage()
    }
    return session
  }

  get #ort(): OnnxRuntime {
    if (this.#runtime === undefined) throw new Error('The device was not opened')
    return this.#runtime
  }

  #session(id: number): Session {
    const found = this.#sessions.get(id)
    if (found === undefined) throw new Error('The executable has been disposed')
    return found
  }

  #state(id: number): EngineState {
    const found = this.#states.get(id)
    if (found === undefined) throw new Error('The training state has been disposed')
    return found
  }

  /** What a session is fed from states that are not its own: where they lie, without a copy. */
  #beside({ beside }: StateUse): Feeds {
    return Object.assign({}, ...beside.map(feed => this.#state(feed.id).feeds(feed)))
  }

  #tensors(inputs: HostTensors): Record<string, Tensor> {
    const { Tensor } = this.#ort
    return Object.fromEntries(
      Object.entries(inputs).map(([name, { dtype, shape, data }]) => [
        name,
        new Tensor(typeNames[dtype], data as never, [...shape]) as Tensor,
      ]),
    )
  }

  #results(values: Readonly<Record<string, OnnxValue>>): HostTensors {
    return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, fromRuntime(name, value as Tensor)]))
  }
}

/** Those inputs that have one of these names. */
const only = (names: readonly string[], inputs: HostTensors): HostTensors =>
  Object.fromEntries(Object.entries(inputs).filter(([name]) => names.includes(name)))

function fromRuntime(name: string, tensor: Tensor): HostTensor {
  const dtype = dtypes[tensor.type as keyof typeof dtypes]
  if (dtype === undefined)
    throw new TypeError(`The output "${name}" has the type ${tensor.type}, which has no dtype here`)
  const { data } = tensor as TypedTensor<'float32'>
  // Where JavaScript has a Float16Array the runtime uses it.
  const plain = dtype === 'f16' ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data
  return hostTensorOf(dtype, tensor.dims, plain as HostTensor['data'])
}
