/** One end of the line between the caller's thread and the worker thread in which the sessions live. */
export interface WorkerLink {
  /** Posts a message; the buffers in `transfer` move over and are empty here afterwards. */
  post(message: unknown, transfer: readonly ArrayBuffer[]): void
  /** Sets who hears messages. */
  onMessage(listener: (message: unknown) => void): void
}

/** The caller's end. */
export interface WorkerHandle extends WorkerLink {
  /** Sets who hears that the worker has died, with the reason. */
  onDeath(listener: (reason: Error) => void): void
  /** Whether the worker keeps the process from ending by itself. */
  keepAlive(yes: boolean): void
  /** Ends the worker. */
  terminate(): Promise<void>
}
