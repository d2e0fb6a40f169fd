import type { StateSpec } from '../engine/engine-calls.js'
import { clipFactor, nothingAccumulated } from './engine-state.js'
import { layOut, type Place } from './layout.js'
import { sumOfSquaresModule, sumOfSquaresStep } from './sum-of-squares.js'

/** A memory holds 4 GiB at most; smaller ones are easier to come by. */
const chunkBytes = 2 ** 30
const pageBytes = 65536

/** Floats between the starts of two tensors are a multiple of this: one cache line. */
const alignment = sumOfSquaresStep

interface Kernels {
  update(vectors: number, ...addressesAndScalars: number[]): void
  sumOfSquares(address: number, steps: number): number
}

/** Some of the parameters, with the same stretch of every array one after the other in one WebAssembly memory. */
interface Chunk extends Kernels {
  readonly memory: WebAssembly.Memory
  /** Floats of one array. */
  readonly length: number
}

/** The arrays of a training state: parameters, gradients, running averages, each flat over all parameters. */
export class FlatState {
  /** Whether no gradients have been added since the last update. */
  empty = true
  readonly #spec: StateSpec
  readonly #places: ReadonlyMap<string, Place>
  readonly #chunks: readonly Chunk[]
  readonly #addends = new Map<string, Float32Array>()

  static async create(spec: StateSpec, kernel: Uint8Array<ArrayBuffer>): Promise<FlatState> {
    const { places, lengths } = layOut(spec.parameters, chunkBytes / (4 * spec.arrays.length), alignment)
    const modules = await Promise.all([kernel, sumOfSquaresModule()].map(bytes => WebAssembly.compile(bytes)))
    const chunks: Chunk[] = []
    for (const length of lengths) {
      const bytes = length * 4 * spec.arrays.length
      if (bytes > 2 ** 32 - pageBytes) {
        throw new RangeError(
          `A parameter of ${length} numbers needs ${bytes} bytes of training state, more than one memory's 4 GiB`,
        )
      }
      const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / pageBytes) })
      const instances = modules.map(module => new WebAssembly.Instance(module, { host: { memory } }))
      const exports = Object.assign({}, ...instances.map(instance => instance.exports)) as Kernels
      chunks.push({ memory, length, ...exports })
    }
    return new FlatState(spec, places, chunks)
  }

  private constructor(spec: StateSpec, places: ReadonlyMap<string, Place>, chunks: readonly Chunk[]) {
    this.#spec = spec
    this.#places = places
    this.#chunks = chunks
  }

  get names(): string[] {
    return [...this.#places.keys()]
  }

  shape(name: string): readonly number[] {
    return this.#place(name).shape
  }

  /** A parameter's stretch of an array, in place. */
  view(array: string, name: string): Float32Array {
    const { chunk, offset, length } = this.#place(name)
    return this.#whole(array, this.#chunks[chunk]!).subarray(offset, offset + length)
  }

  /** Room for a gradient that is to be added to the one in the state. */
  addend(name: string): Float32Array {
    const made = this.#addends.get(name) ?? new Float32Array(this.#place(name).length)
    this.#addends.set(name, made)
    return made
  }

  /** Makes the gradients ready to be written: those that will not be are zero. */
  begin(written: readonly string[]): void {
    if (written.length === this.#places.size) return
    for (const chunk of this.#chunks) this.#whole('gradient', chunk).fill(0)
  }

  /** Adds the addends of these parameters, scaled, to their gradients. */
  addGradients(names: readonly string[], scale: number): void {
    if (this.empty) this.begin([])
    for (const name of names) {
      const gradient = this.view('gradient', name)
      const addend = this.addend(name)
      for (let i = 0; i < gradient.length; i++) gradient[i]! += scale * addend[i]!
    }
  }

  /** An array as it lies in each memory. */
  chunks(array: string): Float32Array[] {
    return this.#chunks.map(chunk => this.#whole(array, chunk))
  }

  copy(from: string, to: string): void {
    for (const chunk of this.#chunks) this.#whole(to, chunk).set(this.#whole(from, chunk))
  }

  /** Divides the gradients by `parts`, clips them and updates all arrays in place; returns the norm of the gradients. */
  update(scalars: Readonly<Record<string, number>>, clip: number | undefined, parts: number): number {
    if (this.empty) throw nothingAccumulated()
    const squares = this.#chunks.map(chunk =>
      chunk.sumOfSquares(this.#whole('gradient', chunk).byteOffset, chunk.length / sumOfSquaresStep),
    )
    const norm = Math.sqrt(squares.reduce((a, b) => a + b, 0)) / parts
    this.empty = true
    if (!Number.isFinite(norm)) return norm
    const gradientScale = clipFactor(norm, clip) / parts
    const values = this.#spec.scalars.map(name => (name === 'gradientScale' ? gradientScale : scalars[name]!))
    for (const { update, length } of this.#chunks) {
      update(length / 4, ...this.#spec.arrays.map((_, i) => i * length * 4), ...values)
    }
    return norm
  }

  #whole(array: string, { memory, length }: Chunk): Float32Array {
    const index = this.#spec.arrays.indexOf(array)
    if (index < 0) throw new RangeError(`The training state has no "${array}", only ${this.#spec.arrays.join(', ')}`)
    return new Float32Array(memory.buffer, index * length * 4, length)
  }

  #place(name: string): Place {
    const place = this.#places.get(name)
    if (place === undefined) throw new RangeError(`The training state has no parameter "${name}"`)
    return place
  }
}
