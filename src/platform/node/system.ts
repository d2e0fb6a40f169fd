import { createHash } from 'node:crypto'
import { availableParallelism, cpus, homedir, totalmem } from 'node:os'
import { basename, dirname, extname, join } from 'node:path'
import type { Processor } from '../types.js'

export const joinPath = join
export const parentFolder = (path: string): string => dirname(path)
export const baseName = (path: string): string => basename(path)
export const extensionName = (path: string): string => extname(path).toLowerCase()

export function cacheFolder(): string {
  const home = homedir()
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env
  if (XDG_CACHE_HOME) return join(XDG_CACHE_HOME, 'latentkit')
  if (process.platform === 'win32') return join(LOCALAPPDATA || join(home, 'AppData', 'Local'), 'latentkit', 'Cache')
  if (process.platform === 'darwin') return join(home, 'Library', 'Caches', 'latentkit')
  return join(home, '.cache', 'latentkit')
}

export async function sha256(data: Uint8Array | string): Promise<string> {
  return createHash('sha256').update(data).digest('hex')
}

export function processor(): Processor {
  // Zero or beyond the machine's own memory where no container limits the process.
  const limit = process.constrainedMemory()
  const memory = limit > 0 ? Math.min(limit, totalmem()) : totalmem()
  // Processes that mpirun started on one machine share it, each bound to its part or none of them.
  const share = Math.floor(cpus().length / Number(process.env.OMPI_COMM_WORLD_LOCAL_SIZE ?? 1))
  const threads = Math.max(1, Math.min(availableParallelism(), share))
  return { name: cpus()[0]?.model.trim() || process.arch, threads, memory }
}

export function now(): number {
  return performance.now()
}
