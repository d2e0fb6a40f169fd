import type { WorkerHandle, WorkerLink } from '../worker-link.js'

/** Starts the thread in which the sessions live. */
export function startWorker(): WorkerHandle {
  // Bundlers look for exactly this expression.
  const worker = new Worker(new URL('../../runtime/engine/worker.js', import.meta.url), { type: 'module' })
  return {
    post: (message, transfer) => worker.postMessage(message, [...transfer]),
    onMessage: listener => worker.addEventListener('message', event => listener(event.data)),
    onDeath(listener) {
      worker.addEventListener('error', event => listener(new Error(event.message || 'its script could not be loaded')))
      worker.addEventListener('messageerror', () => listener(new Error('a message could not be read')))
    },
    keepAlive: () => {},
    terminate: async () => worker.terminate(),
  }
}

/** The worker's own end of the line. */
export function workerSide(): WorkerLink {
  const scope = globalThis as unknown as Worker
  return {
    post: (message, transfer) => scope.postMessage(message, [...transfer]),
    onMessage: listener => scope.addEventListener('message', event => listener(event.data)),
  }
}
