import { parentPort, Worker } from 'node:worker_threads'
import type { WorkerHandle, WorkerLink } from '../worker-link.js'

/** Starts the thread in which the sessions live. */
export function startWorker(): WorkerHandle {
  // Since 1.29 the runtime reports its use to its maker unless this is set before it is loaded; the real environment
  // can be changed from the main thread alone. Who wants the reports says ORT_DISABLE_TELEMETRY=0.
  process.env.ORT_DISABLE_TELEMETRY ??= '1'
  // Flags of the caller's process, such as --input-type, do not fit a file.
  const worker = new Worker(new URL('../../runtime/engine/worker.js', import.meta.url), { execArgv: [] })
  worker.unref()
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    onMessage: listener => worker.on('message', listener),
    onDeath(listener) {
      worker.on('error', listener)
      worker.on('messageerror', listener)
      worker.on('exit', code => listener(new Error(`it ended with code ${code}`)))
    },
    keepAlive: yes => (yes ? worker.ref() : worker.unref()),
    terminate: async () => void (await worker.terminate()),
  }
}

/** The worker's own end of the line. */
export function workerSide(): WorkerLink {
  if (parentPort === null) throw new Error('This file runs in a worker thread that latentkit starts')
  const port = parentPort
  return {
    post: (message, transfer) => port.postMessage(message, transfer),
    onMessage: listener => port.on('message', listener),
  }
}
