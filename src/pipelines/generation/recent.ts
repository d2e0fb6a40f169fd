/** A value in use; disposing of the lease gives it back. */
export interface Lease<V> extends AsyncDisposable {
  readonly value: V
}

interface Entry<V> {
  readonly key: string
  readonly value: Promise<V>
  users: number
}

/**
 * Makes values by key and keeps the last one. An older one lives until its last user has given it back: networks take
 * so much memory that only one should be there, and none may vanish from under a generation that runs.
 */
export class Recent<V> {
  readonly #dispose: (value: V) => Promise<void>
  #last: Entry<V> | undefined

  constructor(dispose: (value: V) => Promise<void>) {
    this.#dispose = dispose
  }

  async lease(key: string, make: () => Promise<V>): Promise<Lease<V>> {
    const before = this.#last
    const entry = before?.key === key ? before : { key, value: make(), users: 0 }
    this.#last = entry
    entry.users++
    if (before && before !== entry) await this.#release(before, 0)
    try {
      return { value: await entry.value, [Symbol.asyncDispose]: () => this.#release(entry, 1) }
    } catch (error) {
      if (this.#last === entry) this.#last = undefined
      throw error
    }
  }

  async #release(entry: Entry<V>, users: number): Promise<void> {
    entry.users -= users
    if (entry.users === 0 && this.#last !== entry) await entry.value.then(this.#dispose, () => {})
  }
}
