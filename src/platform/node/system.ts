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
  return { name: cpus()[0]?.model.trim() || process.arch, threads: availableParallelism(), memory }
}

export function now(): number {
  return performance.now()
}
