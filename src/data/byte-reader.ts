import { concatBytes } from '../platform/bytes.js'
import type { FileSource } from '../platform/types.js'

/** Bytes one after the other. */
export interface ByteReader {
  /** Where the next byte lies. */
  readonly position: number
  /** The next `length` bytes; fewer at the end. */
  take(length: number): Promise<Uint8Array>
  /** Passes over bytes; returns how many there were. */
  skip(length: number): Promise<number>
  /** Length of all, and bytes from an offset on in any order; undefined where there is no going back. */
  readonly file: Pick<FileSource, 'size' | 'read'> | undefined
  close(): Promise<void>
}

const block = 2 ** 16

/** Reads a file in blocks; what is passed over is not read. */
export function fileReader(source: FileSource): ByteReader {
  let position = 0
  let buffered: Uint8Array = new Uint8Array()
  let bufferedAt = 0
  return {
    get position() {
      return position
    },
    async take(length) {
      const wanted = Math.min(length, source.size - position)
      if (position < bufferedAt || position + wanted > bufferedAt + buffered.length) {
        buffered = await source.read(position, Math.min(Math.max(wanted, block), source.size - position))
        bufferedAt = position
      }
      const bytes = buffered.slice(position - bufferedAt, position - bufferedAt + wanted)
      position += wanted
      return bytes
    },
    async skip(length) {
      const skipped = Math.min(length, source.size - position)
      position += skipped
      return skipped
    },
    file: source,
    close: () => source.close(),
  }
}

/** The bytes of a file in pieces. */
export async function* pieces(source: FileSource, length = 2 ** 18): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < source.size; at += length) yield source.read(at, Math.min(length, source.size - at))
}

/** Reads pieces as they come; `close` ends them. */
export function pieceReader(stream: AsyncGenerator<Uint8Array>, close: () => Promise<void>): ByteReader {
  let position = 0
  let left: Uint8Array = new Uint8Array()
  async function* upTo(length: number): AsyncGenerator<Uint8Array> {
    for (let wanted = length; wanted > 0; ) {
      if (left.length === 0) {
        const { value, done } = await stream.next()
        if (done) return
        left = value
      }
      const piece = left.subarray(0, wanted)
      left = left.subarray(piece.length)
      wanted -= piece.length
      position += piece.length
      yield piece
    }
  }
  return {
    get position() {
      return position
    },
    async take(length) {
      const parts: Uint8Array[] = []
      for await (const piece of upTo(length)) parts.push(piece)
      return concatBytes(...parts)
    },
    async skip(length) {
      let skipped = 0
      for await (const piece of upTo(length)) skipped += piece.length
      return skipped
    },
    file: undefined,
    async close() {
      await stream.return(undefined)
      await close()
    },
  }
}
