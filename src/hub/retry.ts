import { Interruption, type Patience } from './client.js'

/** Another attempt is about to be made. */
export interface Retry {
  readonly reason: string
  /** Seconds before it. */
  readonly seconds: number
}

const longestWait = 30_000
/** A server that asks for more is not waited for. */
const longestAsked = 300_000

/** Counts the attempts that failed in a row, and says how long to wait; throws what cannot be helped by waiting. */
export function attempts({ attempts: most, delay }: Patience): { failed(error: unknown, progress: boolean): Retry } {
  let failures = 0
  return {
    failed(error, progress) {
      if (!(error instanceof Interruption)) throw error
      failures = progress ? 1 : failures + 1
      const asked = (error.after ?? 0) * 1000
      if (failures >= most || asked > longestAsked) throw error
      const wait = Math.max(asked, Math.min(delay * 2 ** (failures - 1), longestWait))
      return { reason: error.message, seconds: wait / 1000 }
    },
  }
}

/** Calls again for as long as the connection breaks and patience lasts. */
export async function persistently<T>(
  patience: Patience,
  signal: AbortSignal | undefined,
  call: () => Promise<T>,
): Promise<T> {
  const tries = attempts(patience)
  for (;;) {
    try {
      return await call()
    } catch (error) {
      await pause(tries.failed(error, false).seconds, signal)
    }
  }
}

/** Waits; throws the signal's reason when that is aborted. */
export function pause(seconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const stop = () => {
      clearTimeout(timer)
      reject(signal!.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, seconds * 1000)
    signal?.addEventListener('abort', stop, { once: true })
  })
}
