import type { InferenceSession, OnnxValue, Tensor, TypedTensor } from 'onnxruntime-common'
import { collectGarbage, loadOnnxRuntime } from '#platform'
import type { OnnxRuntime } from '../platform/onnxruntime.js'
import type { EngineCalls, ModelSpec, OpenedDevice, StateSpec } from './engine-calls.js'
import { FlatState } from './flat-state.js'
import { type HostTensor, type HostTensors, hostTensorOf } from './host-tensor.js'
import { executionProviders, sessionOptions } from './session-options.js'

const typeNames = { f32: 'float32', f16: 'float16', i64: 'int64', bool: 'bool' } as const
const dtypes = { float32: 'f32', float16: 'f16', int64: 'i64', bool: 'bool' } as const

interface Session {
  readonly session: InferenceSession
  readonly model: ModelSpec
  /** Parameters that are fed as views of a state, ready made. */
  readonly fed: Readonly<Record<string, Tensor>>
  /** Gradients by output name: where they are to be written. */
  gradients: Readonly<Record<string, Tensor>>
  /** Where they are written when the state holds some already. */
  addends?: Readonly<Record<string, Tensor>>
}

/** Owns the sessions and the training states; lives in the worker thread. */
export class Engine implements EngineCalls {
  #runtime: OnnxRuntime | undefined
  #device = 'cpu'
  #threads = 1
  #next = 1
  readonly #sessions = new Map<number, Session>()
  readonly #states = new Map<number, FlatState>()

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
    this.#states.clear()
  }

  async createSession(model: ModelSpec): Promise<number> {
    const session = await this.#ort.InferenceSession.create(model.bytes, {
      ...sessionOptions(this.#threads, model),
      executionProviders: executionProviders(this.#device),
      ...(model.externalData.length > 0 && { externalData: [...model.externalData] }),
    })
    const state = model.state === undefined ? undefined : this.#state(model.state.id)
    const viewsOf = (array: string, names: readonly string[], key: (name: string) => string) =>
      Object.fromEntries(names.map(name => [key(name), this.#view(state!, array, name)]))
    const id = this.#next++
    this.#sessions.set(id, {
      session,
      model,
      fed: state ? viewsOf(model.state!.feed, model.state!.parameters, name => name) : {},
      gradients: state ? viewsOf('gradient', model.state!.gradients, name => `gradient:${name}`) : {},
    })
    return id
  }

  async run(id: number, inputs: HostTensors): Promise<HostTensors> {
    const { session, fed } = this.#session(id)
    return this.#results(await session.run({ ...this.#tensors(inputs), ...fed }))
  }

  async accumulate(id: number, inputs: HostTensors, scale: number): Promise<HostTensors> {
    const one = this.#session(id)
    const state = this.#state(one.model.state!.id)
    const direct = state.empty && scale === 1
    if (direct) state.begin(one.model.state!.gradients)
    else one.addends ??= this.#addends(one, state)
    const gradients = direct ? one.gradients : one.addends!
    const logs = one.session.outputNames.filter(name => !(name in gradients))
    const results = await one.session.run(
      { ...this.#tensors(inputs), ...one.fed },
      {
        ...Object.fromEntries(one.session.outputNames.map(name => [name, null])),
        ...(this.#ort.native && gradients),
      },
    )
    if (!this.#ort.native) {
      for (const [name, { data }] of Object.entries(gradients))
        (data as Float32Array).set(results[name]!.data as Float32Array)
    }
    if (!direct) state.addGradients(one.model.state!.gradients, scale)
    state.empty = false
    return this.#results(Object.fromEntries(logs.map(name => [name, results[name]!])))
  }

  async releaseSession(id: number): Promise<void> {
    const found = this.#sessions.get(id)
    this.#sessions.delete(id)
    await found?.session.release()
    collectGarbage()
  }

  async createState(spec: StateSpec): Promise<number> {
    const id = this.#next++
    this.#states.set(id, await FlatState.create(spec))
    return id
  }

  async writeState(id: number, array: string, values: ReadonlyMap<string, Float32Array>): Promise<void> {
    const state = this.#state(id)
    for (const [name, numbers] of values) state.view(array, name).set(numbers)
  }

  async readState(id: number, array: string): Promise<Map<string, Float32Array<ArrayBuffer>>> {
    const state = this.#state(id)
    return new Map(state.names.map(name => [name, state.view(array, name).slice()]))
  }

  async copyState(id: number, from: string, to: string): Promise<void> {
    this.#state(id).copy(from, to)
  }

  async updateState(id: number, scalars: Readonly<Record<string, number>>, clip: number | undefined): Promise<number> {
    return this.#state(id).update(scalars, clip)
  }

  async releaseState(id: number): Promise<void> {
    this.#states.delete(id)
    collectGarbage()
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

  #state(id: number): FlatState {
    const found = this.#states.get(id)
    if (found === undefined) throw new Error('The training state has been disposed')
    return found
  }

  #view(state: FlatState, array: string, name: string): Tensor {
    return new this.#ort.Tensor('float32', state.view(array, name), [...state.shape(name)])
  }

  #addends({ model }: Session, state: FlatState): Record<string, Tensor> {
    const names = model.state!.gradients
    return Object.fromEntries(
      names.map(name => [
        `gradient:${name}`,
        new this.#ort.Tensor('float32', state.addend(name), [...state.shape(name)]),
      ]),
    )
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

function fromRuntime(name: string, tensor: Tensor): HostTensor {
  const dtype = dtypes[tensor.type as keyof typeof dtypes]
  if (dtype === undefined)
    throw new TypeError(`The output "${name}" has the type ${tensor.type}, which has no dtype here`)
  const { data } = tensor as TypedTensor<'float32'>
  // Where JavaScript has a Float16Array the runtime uses it.
  const plain = dtype === 'f16' ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data
  return hostTensorOf(dtype, tensor.dims, plain as HostTensor['data'])
}
