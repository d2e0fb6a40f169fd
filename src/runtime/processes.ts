import type { WorldPlace } from '../platform/types.js'
import type { RemoteEngine } from './engine/remote-engine.js'

/**
 * The processes that train together, this one among them; the same is to be called in each, in the same order. Where one
 * is gone the others get a LostProcessError. Training states average their gradients over all by themselves.
 */
export interface Processes extends WorldPlace {
  /** Sums numbers over all processes: the same bits in each. */
  sum(numbers: readonly number[]): Promise<number[]>
  /** Waits until all are here. */
  barrier(): Promise<void>
  /** This process is to end: it waits for the others no longer than a moment. */
  interrupt(): void
  /** Whether, of the processes that are left on its machine, this has the lowest rank. */
  isHeir(): Promise<boolean>
  /** Ends it in good order, when all do; without it mpirun takes a process for one that failed. */
  leave(): Promise<void>
}

/** A process on its own. */
export const onlyProcess: Processes = {
  rank: 0,
  size: 1,
  sum: async numbers => [...numbers],
  async barrier() {},
  interrupt() {},
  isHeir: async () => true,
  async leave() {},
}

/** Joins the processes that mpirun started, in the engine's thread, where the gradients are. */
export async function joinProcesses(engine: RemoteEngine): Promise<Processes> {
  const { rank, size } = await engine.call('joinWorld', [])
  if (size === 1) return onlyProcess
  return {
    rank,
    size,
    sum: async numbers => [...(await engine.call('sum', [Float64Array.from(numbers)]))],
    barrier: () => engine.call('barrier', []),
    interrupt: () => engine.interruptWorld(),
    isHeir: () => engine.call('isHeir', []),
    leave: () => engine.call('leaveWorld', []),
  }
}
