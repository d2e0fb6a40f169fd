import type { InferenceSession } from 'onnxruntime-common'
import type { HostTensors } from '../host-tensor.js'
import type { Feeds } from '../state/engine-state.js'

/** What a model that runs ahead of another is loaded with. */
export interface AheadOptions {
  /** Weights that are fed in every run. */
  readonly held: Feeds
  /** Whether the model can be loaded a second time: its weights lie in files. */
  readonly again: boolean
}

/** What a model computes of inputs that rarely change: again only where they did. */
export class Ahead {
  #load: (() => Promise<InferenceSession>) | undefined
  #session: InferenceSession | undefined
  readonly #options: AheadOptions
  #last: { readonly given: HostTensors; readonly results: Feeds } | undefined

  constructor(load: () => Promise<InferenceSession>, options: AheadOptions) {
    this.#load = load
    this.#options = options
  }

  /** The results for inputs, which must not be changed afterwards. */
  async of(given: HostTensors, tensors: (given: HostTensors) => Feeds): Promise<Feeds> {
    if (this.#last !== undefined && isSame(this.#last.given, given)) return this.#last.results
    const session = this.#session ?? (await this.#load!())
    const { held, again } = this.#options
    const results = (await session.run({ ...tensors(given), ...held })) as Feeds
    // Most pictures have one prompt, which needs its weights no more; where it changes once it does so often.
    if (again && this.#last === undefined) await session.release()
    else {
      this.#session = session
      this.#load = undefined
    }
    this.#last = { given, results }
    return results
  }

  async release(): Promise<void> {
    await this.#session?.release()
  }
}

function isSame(a: HostTensors, b: HostTensors): boolean {
  return Object.entries(a).every(([name, { data }]) => {
    const other = b[name]!.data
    if (data.length !== other.length) return false
    for (let i = 0; i < data.length; i++) if (data[i] !== other[i]) return false
    return true
  })
}
