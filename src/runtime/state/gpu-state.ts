import type { InferenceSession, Tensor } from 'onnxruntime-common'
import type { OnnxRuntime } from '../../platform/onnxruntime.js'
import type { World } from '../../platform/types.js'
import type { StateGraphs, StateSpec } from '../engine/engine-calls.js'
import {
  clipFactor,
  type EngineState,
  type Feeds,
  nothingAccumulated,
  type Outputs,
  type StateFeed,
  type StateUse,
} from './engine-state.js'
import { chunkName, updatedName } from './flatten.js'
import { type Layout, layOut, type Place } from './layout.js'

type Create = (bytes: Uint8Array, onDevice: readonly string[]) => Promise<InferenceSession>
type Sessions = { readonly [Name in Exclude<keyof StateGraphs, 'limit' | 'alignment'> | 'download']: InferenceSession }

/** A training state in the memory of a graphics card; only losses and the norm leave it. */
export class GpuState implements EngineState {
  readonly #runtime: OnnxRuntime
  readonly #spec: StateSpec
  readonly #layout: Layout
  readonly #sessions: Sessions
  readonly #arrays = new Map<string, Tensor[]>()
  #empty = true

  static async create(runtime: OnnxRuntime, spec: StateSpec, graphs: StateGraphs, create: Create): Promise<GpuState> {
    const sessions: Sessions = {
      update: await create(graphs.update, spec.arrays.filter(array => array !== 'gradient').map(updatedName)),
      accumulate: await create(graphs.accumulate, ['output']),
      sumOfSquares: await create(graphs.sumOfSquares, []),
      copy: await create(graphs.copy, ['output']),
      download: await create(graphs.copy, []),
    }
    const state = new GpuState(runtime, spec, layOut(spec.parameters, graphs.limit, graphs.alignment), sessions)
    for (const array of spec.arrays)
      await state.#upload(
        array,
        state.#layout.lengths.map(length => new Float32Array(length)),
      )
    return state
  }

  private constructor(runtime: OnnxRuntime, spec: StateSpec, layout: Layout, sessions: Sessions) {
    this.#runtime = runtime
    this.#spec = spec
    this.#layout = layout
    this.#sessions = sessions
  }

  feeds({ feed, as }: StateFeed): Feeds {
    return this.#chunks(feed, as)
  }

  async accumulate(session: InferenceSession, use: StateUse, inputs: Feeds, scale: number): Promise<Outputs> {
    const results = { ...(await session.run({ ...inputs, ...this.feeds(use) })) }
    const before = this.#array('gradient')
    const gradients: Tensor[] = []
    for (const i of before.keys()) {
      const name = chunkName('gradient', i)
      const addend = results[name] as Tensor
      delete results[name]
      gradients.push(this.#empty && scale === 1 ? addend : await this.#sum(before[i]!, addend, scale))
    }
    this.#replace('gradient', gradients)
    this.#empty = false
    return results
  }

  async write(array: string, values: ReadonlyMap<string, Float32Array>): Promise<void> {
    const chunks = await this.#download(array)
    for (const [name, numbers] of values) {
      const { chunk, offset } = this.#place(name)
      chunks[chunk]!.set(numbers, offset)
    }
    await this.#upload(array, chunks)
  }

  async read(array: string, names = [...this.#layout.places.keys()]): Promise<Map<string, Float32Array<ArrayBuffer>>> {
    const chunks = await this.#download(array)
    const cut = ({ chunk, offset, length }: Place) => chunks[chunk]!.slice(offset, offset + length)
    return new Map(names.map(name => [name, cut(this.#place(name))]))
  }

  async copy(from: string, to: string): Promise<void> {
    await this.#upload(to, await this.#download(from))
  }

  async broadcast(array: string, world: World): Promise<void> {
    await this.#exchange(array, world, chunk => world.broadcast(chunk))
  }

  async update(
    scalars: Readonly<Record<string, number>>,
    clip: number | undefined,
    world: World,
    lossScale: number,
  ): Promise<number> {
    if (this.#empty) throw nothingAccumulated()
    await this.#exchange('gradient', world, chunk => world.allReduce(chunk))
    const { output } = await this.#sessions.sumOfSquares.run(this.#chunks('gradient', 'gradient'))
    const norm = Math.sqrt(Number((output as Tensor).data[0])) / (world.size * lossScale)
    this.#empty = true
    if (!Number.isFinite(norm)) return norm
    const values = { ...scalars, gradientScale: clipFactor(norm, clip) / (world.size * lossScale) } as Record<
      string,
      number
    >
    const given = Object.fromEntries(this.#spec.scalars.map(name => [name, this.#scalar(values[name]!)]))
    const updated: Outputs[] = []
    for (const i of this.#layout.lengths.keys()) {
      const chunk = Object.fromEntries(this.#spec.arrays.map(array => [array, this.#array(array)[i]!]))
      updated.push(await this.#sessions.update.run({ ...chunk, ...given }))
    }
    for (const array of this.#spec.arrays.filter(array => array !== 'gradient')) {
      this.#replace(
        array,
        updated.map(outputs => outputs[updatedName(array)] as Tensor),
      )
    }
    return norm
  }

  async dispose(): Promise<void> {
    for (const array of this.#spec.arrays) this.#replace(array, [])
    // A context goes with the last session that uses it: tensors first.
    for (const session of Object.values(this.#sessions)) await session.release()
  }

  async #sum(gradient: Tensor, addend: Tensor, scale: number): Promise<Tensor> {
    const before = this.#empty ? addend : gradient
    const keep = this.#scalar(this.#empty ? 0 : 1)
    const feeds = { gradient: before, addend, keep, scale: this.#scalar(scale) }
    const { output } = await this.#sessions.accumulate.run(feeds)
    addend.dispose()
    return output as Tensor
  }

  /** Brings an array to the processor's memory, where processes can exchange it, and back. */
  async #exchange(array: string, world: World, exchange: (chunk: Float32Array) => Promise<void>): Promise<void> {
    if (world.size === 1) return
    const chunks = await this.#download(array)
    for (const chunk of chunks) await exchange(chunk)
    await this.#upload(array, chunks)
  }

  async #download(array: string): Promise<Float32Array<ArrayBuffer>[]> {
    const chunks: Float32Array<ArrayBuffer>[] = []
    for (const x of this.#array(array)) {
      const { output } = await this.#sessions.download.run({ x })
      chunks.push((output as Tensor).data as Float32Array<ArrayBuffer>)
    }
    return chunks
  }

  async #upload(array: string, chunks: readonly Float32Array[]): Promise<void> {
    const tensors: Tensor[] = []
    for (const chunk of chunks) {
      const { output } = await this.#sessions.copy.run({
        x: new this.#runtime.Tensor('float32', chunk, [chunk.length]),
      })
      tensors.push(output as Tensor)
    }
    this.#replace(array, tensors)
  }

  #replace(array: string, tensors: Tensor[]): void {
    for (const tensor of this.#arrays.get(array) ?? []) tensor.dispose()
    this.#arrays.set(array, tensors)
  }

  #chunks(array: string, as: string): Feeds {
    return Object.fromEntries(this.#array(array).map((tensor, i) => [chunkName(as, i), tensor]))
  }

  #scalar(value: number): Tensor {
    return new this.#runtime.Tensor('float32', Float32Array.of(value), [])
  }

  #array(name: string): readonly Tensor[] {
    const found = this.#arrays.get(name)
    if (found === undefined) {
      throw new RangeError(`The training state has no "${name}", only ${this.#spec.arrays.join(', ')}`)
    }
    return found
  }

  #place(name: string): Place {
    const place = this.#layout.places.get(name)
    if (place === undefined) throw new RangeError(`The training state has no parameter "${name}"`)
    return place
  }
}
