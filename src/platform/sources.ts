import { FileError } from './errors.js'
import type { FileSource } from './types.js'

/** Throws a RangeError unless `length` bytes from `offset` on lie within the source. */
export function checkRange(source: { name: string; size: number }, offset: number, length: number): void {
  const inside = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0
  if (!inside || offset + length > source.size) {
    throw new RangeError(`Cannot read ${length} bytes at ${offset} of ${source.name}: it has ${source.size} bytes`)
  }
}

/** Bytes in memory as a source; `read` gives views, not copies. */
export function bytesSource(bytes: Uint8Array, name = 'bytes in memory'): FileSource {
  const source: FileSource = {
    name,
    size: bytes.length,
    path: undefined,
    async read(offset, length) {
      checkRange(source, offset, length)
      return bytes.subarray(offset, offset + length)
    },
    async close() {},
  }
  return source
}

/** A Blob, or a File that the user chose, as a source. */
export function blobSource(blob: Blob): FileSource {
  const source: FileSource = {
    name: 'name' in blob && typeof blob.name === 'string' ? blob.name : 'blob',
    size: blob.size,
    path: undefined,
    async read(offset, length) {
      checkRange(source, offset, length)
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer())
      } catch (cause) {
        throw new FileError(source.name, 'cannot be read any more; choose the file again', { offset, cause })
      }
    },
    async close() {},
  }
  return source
}

/**
 * A URL as a source, read by HTTP ranges; where the server knows none, the whole file is fetched at once.
 *
 * Throws FileError if the server refuses, or if the file changes between two reads.
 */
export async function urlSource(url: URL | string): Promise<FileSource> {
  const name = String(url)
  const first = await request(name, 'bytes=0-0')
  if (first.status === 200) return bytesSource(new Uint8Array(await first.arrayBuffer()), name)
  await first.body?.cancel()
  if (first.status === 416) return bytesSource(new Uint8Array(0), name)
  const total = /\/(\d+)$/.exec(first.headers.get('content-range') ?? '')?.[1]
  if (first.status !== 206 || total === undefined) {
    throw new FileError(name, `the server answered ${first.status} and no Content-Range; it must tell the file's size`)
  }
  const tag = first.headers.get('etag')
  const source: FileSource = {
    name,
    size: Number(total),
    path: undefined,
    async read(offset, length) {
      checkRange(source, offset, length)
      if (length === 0) return new Uint8Array(0)
      const response = await request(name, `bytes=${offset}-${offset + length - 1}`)
      const bytes = response.status === 206 ? new Uint8Array(await response.arrayBuffer()) : undefined
      if (bytes?.length !== length || response.headers.get('etag') !== tag) {
        await response.body?.cancel().catch(() => {})
        throw new FileError(name, `changed or broke off while being read (status ${response.status}); load it again`, {
          offset,
        })
      }
      return bytes
    },
    async close() {},
  }
  return source
}

async function request(url: string, range: string): Promise<Response> {
  let response: Response
  try {
    response = await fetch(url, { headers: { range } })
  } catch (cause) {
    throw new FileError(url, 'cannot be fetched; check the address, the network and (in a browser) CORS', { cause })
  }
  if (!response.ok && response.status !== 416) {
    await response.body?.cancel()
    throw new FileError(url, `cannot be fetched: the server answered ${response.status} ${response.statusText}`)
  }
  return response
}

/** All bytes of a source. */
export function readAll(source: FileSource): Promise<Uint8Array> {
  return source.read(0, source.size)
}

/** Decodes UTF-8, leaving out a byte order mark; throws FileError naming the source where it is not UTF-8. */
export function decodeText(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    // What cannot be decoded becomes U+FFFD, at the first of which the text was whole.
    const [whole] = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes).split('\ufffd', 1)
    const offset = new TextEncoder().encode(whole).length
    throw new FileError(name, 'is not UTF-8 text; save it as UTF-8', { offset, cause })
  }
}
