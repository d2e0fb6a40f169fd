import { FileError } from '../platform/errors.js'
import type { FileSource } from '../platform/types.js'

/** Thrown by a parser whose bytes end too early. */
export class CutOff extends FileError {
  override name = 'CutOff'
}

/**
 * Parses a part of unknown length from `begin` on, with four times as many bytes for as long as it throws CutOff.
 *
 * Of a checkpoint of gigabytes only the head is so in memory, and at most `largest` bytes, or a little more.
 */
export async function readGrowing<T>(
  source: FileSource,
  begin: number,
  largest: number,
  parse: (bytes: Uint8Array) => T,
): Promise<T> {
  for (let length = 1 << 16; ; length *= 4) {
    const bytes = await source.read(begin, Math.min(length, source.size - begin))
    try {
      return parse(bytes)
    } catch (error) {
      const isAll = bytes.length < length || length >= largest
      if (isAll || !(error instanceof CutOff)) throw error
    }
  }
}
