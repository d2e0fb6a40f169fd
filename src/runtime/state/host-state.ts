import type { InferenceSession, Tensor } from 'onnxruntime-common'
import type { OnnxRuntime } from '../../platform/onnxruntime.js'
import type { World } from '../../platform/types.js'
import type { StateSpec } from '../engine/engine-calls.js'
import type { EngineState, Feeds, Outputs, StateFeed, StateUse } from './engine-state.js'
import { FlatState } from './flat-state.js'

/** A training state in the processor's memory: sessions are fed views of it and write their gradients into it. */
export class HostState implements EngineState {
  readonly #runtime: OnnxRuntime
  readonly #flat: FlatState
  /** Views of arrays as tensors, made once: their memory stays where it is. */
  readonly #tensors = new Map<string, Feeds>()

  static async create(runtime: OnnxRuntime, spec: StateSpec, kernel: Uint8Array<ArrayBuffer>): Promise<HostState> {
    return new HostState(runtime, await FlatState.create(spec, kernel))
  }

  private constructor(runtime: OnnxRuntime, flat: FlatState) {
    this.#runtime = runtime
    this.#flat = flat
  }

  feeds({ feed, parameters }: StateFeed): Feeds {
    const all = this.#viewsOf(feed, name => this.#flat.view(feed, name))
    return Object.fromEntries(parameters.map(name => [name, all[name]!]))
  }

  async accumulate(session: InferenceSession, use: StateUse, inputs: Feeds, scale: number): Promise<Outputs> {
    const flat = this.#flat
    const direct = flat.empty && scale === 1
    const all = direct
      ? this.#viewsOf('gradient', name => flat.view('gradient', name))
      : this.#viewsOf('addend', name => flat.addend(name))
    const written = new Map(use.gradients.map(name => [`gradient:${name}`, all[name]!]))
    if (direct) flat.begin(use.gradients)
    const results = await session.run(
      { ...inputs, ...this.feeds(use) },
      Object.fromEntries(
        session.outputNames.map(name => [name, (this.#runtime.native ? written.get(name) : undefined) ?? null]),
      ),
    )
    if (!this.#runtime.native) {
      for (const [name, { data }] of written) (data as Float32Array).set((results[name] as Tensor).data as Float32Array)
    }
    if (!direct) flat.addGradients(use.gradients, scale)
    flat.empty = false
    return Object.fromEntries(Object.entries(results).filter(([name]) => !written.has(name)))
  }

  async write(array: string, values: ReadonlyMap<string, Float32Array>): Promise<void> {
    for (const [name, numbers] of values) this.#flat.view(array, name).set(numbers)
  }

  async read(array: string, names = this.#flat.names): Promise<Map<string, Float32Array<ArrayBuffer>>> {
    return new Map(names.map(name => [name, this.#flat.view(array, name).slice()]))
  }

  async copy(from: string, to: string): Promise<void> {
    this.#flat.copy(from, to)
  }

  async broadcast(array: string, world: World): Promise<void> {
    for (const numbers of this.#flat.chunks(array)) await world.broadcast(numbers)
  }

  async update(
    scalars: Readonly<Record<string, number>>,
    clip: number | undefined,
    world: World,
    lossScale: number,
  ): Promise<number> {
    for (const numbers of this.#flat.chunks('gradient')) await world.allReduce(numbers)
    return this.#flat.update(scalars, clip, world.size * lossScale)
  }

  async dispose(): Promise<void> {
    this.#tensors.clear()
  }

  #viewsOf(array: string, viewOf: (name: string) => Float32Array): Feeds {
    const known = this.#tensors.get(array)
    if (known !== undefined) return known
    const { names } = this.#flat
    const made = Object.fromEntries(
      names.map(name => [name, new this.#runtime.Tensor('float32', viewOf(name), [...this.#flat.shape(name)])]),
    )
    this.#tensors.set(array, made)
    return made
  }
}
