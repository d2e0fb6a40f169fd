import { startWorker } from '#platform'
import { LatentkitError, LostProcessError } from '../../platform/errors.js'
import { buffersIn, type EngineCalls, type EngineMethod, type Reply, type Request } from './engine-calls.js'

interface Waiting {
  resolve(result: unknown): void
  reject(error: Error): void
}

/** The engine in its worker thread, called from here, one call after the other. */
export class RemoteEngine {
  readonly #worker = startWorker()
  readonly #waiting = new Map<number, Waiting>()
  #last: Promise<unknown> = Promise.resolve()
  #next = 0
  #dead: Error | undefined
  #closing: Error | undefined

  constructor() {
    this.#worker.onMessage(message => this.#settle(message as Reply))
    this.#worker.onDeath(reason => {
      this.#end(
        new LatentkitError(`The worker thread of the device has stopped: ${reason.message}; open the device again`),
      )
    })
  }

  /**
   * Calls a method when all calls before it are done; not at all if `signal` is aborted by then. The buffers of the
   * arguments move to the worker: hand in copies.
   */
  call<M extends EngineMethod>(
    method: M,
    args: Parameters<EngineCalls[M]>,
    signal?: AbortSignal,
  ): ReturnType<EngineCalls[M]> {
    if (this.#closing) return Promise.reject(this.#closing) as ReturnType<EngineCalls[M]>
    const turn = this.#last.then(() => {
      signal?.throwIfAborted()
      return this.#post(method, args)
    })
    this.#last = turn.catch(() => {})
    return (signal ? untilAborted(turn, signal) : turn) as ReturnType<EngineCalls[M]>
  }

  /** Ends a wait for other processes, which calls may be stuck in: it does not wait for them. */
  interruptWorld(): void {
    if (!this.#dead && !this.#closing) this.#post('interruptWorld', []).catch(() => {})
  }

  /** Calls a method that frees something: where the worker is dead, that has happened. */
  async callUnlessDead<M extends EngineMethod>(method: M, args: Parameters<EngineCalls[M]>): Promise<void> {
    await this.#last
    if (!this.#dead && !this.#closing) await this.call(method, args)
  }

  /** Ends the worker when all calls up to now are done; to end it within one would end the process. */
  async close(): Promise<void> {
    const closed = this.#dead ? undefined : this.call('close', [])
    this.#closing ??= disposed()
    await closed?.catch(() => {})
    await this.terminate()
  }

  /** Ends the worker; calls that wait are rejected. */
  async terminate(): Promise<void> {
    this.#end(disposed())
    await this.#worker.terminate()
  }

  #post(method: EngineMethod, args: readonly unknown[]): Promise<unknown> {
    if (this.#dead) return Promise.reject(this.#dead)
    return new Promise((resolve, reject) => {
      const id = this.#next++
      this.#waiting.set(id, { resolve, reject })
      this.#worker.keepAlive(true)
      try {
        this.#worker.post({ id, method, args } satisfies Request, [...buffersIn(args)])
      } catch (error) {
        this.#settle({ id, error: error as Error })
      }
    })
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    if (this.#waiting.size === 0) this.#worker.keepAlive(false)
    if ('error' in reply) waiting?.reject(revived(reply.error))
    else waiting?.resolve(reply.result)
  }

  #end(reason: Error): void {
    this.#dead ??= reason
    for (const { reject } of this.#waiting.values()) reject(this.#dead)
    this.#waiting.clear()
  }
}

const disposed = () => new LatentkitError('The device has been disposed')

function revived({ name, message }: { name: string; message: string }): Error {
  if (name === 'RangeError') return new RangeError(message)
  if (name === 'TypeError') return new TypeError(message)
  if (name === 'LostProcessError') return new LostProcessError(message)
  return new LatentkitError(message)
}

/** Rejects as soon as the signal is aborted, whatever becomes of the promise. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
