import { LatentkitError } from '../errors.js'
import type { Processor } from '../types.js'

export const joinPath = (...parts: string[]): string =>
  parts
    .filter(part => part !== '')
    .join('/')
    .replace(/([^:])\/{2,}/g, '$1/')

export const parentFolder = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/'))) || '.'

export const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

export const extensionName = (path: string): string => /.(\.[^.]*)$/.exec(baseName(path))?.[1]?.toLowerCase() ?? ''

export function cacheFolder(): string {
  throw new LatentkitError('A browser page has no cache folder; keep results in IndexedDB or offer them as downloads')
}

export const hubPlace = async (): Promise<undefined> => undefined

export async function sha256(data: Uint8Array | string): Promise<string> {
  const subtle = globalThis.crypto?.subtle
  if (!subtle)
    throw new LatentkitError('Cannot compute SHA-256: the page is not secure; serve it over https or localhost')
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data
  const digest = await subtle.digest('SHA-256', bytes as BufferSource)
  return Array.from(new Uint8Array(digest), byte => byte.toString(16).padStart(2, '0')).join('')
}

export function processor(): Processor {
  return { name: navigator.userAgent, threads: navigator.hardwareConcurrency || 1, memory: 0 }
}

export function now(): number {
  return performance.now()
}
