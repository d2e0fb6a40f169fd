import { concatBytes } from '../platform/bytes.js'
import { crc32 } from '../platform/crc32.js'

/** A record whose bytes are made when their turn comes; `size` of them. */
export interface ZipRecord {
  readonly name: string
  readonly size: number
  readonly pieces: () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>
}

/**
 * A ZIP archive of records that are stored as they are, piece by piece, of any size.
 *
 * Throws RangeError for a record that has another size than it says.
 */
export async function* zipPieces(records: Iterable<ZipRecord>): AsyncGenerator<Uint8Array> {
  const archive = beginArchive()
  for (const { name, size, pieces } of records) {
    yield archive.header(name, size)
    let crc = 0
    let length = 0
    for await (const piece of pieces()) {
      crc = crc32(piece, crc)
      length += piece.length
      yield piece
    }
    if (length !== size)
      throw new RangeError(`Cannot write record ${name}: it has ${length} bytes, ${size} were announced`)
    yield archive.checksum(crc)
  }
  yield* archive.directory()
}

/** The same of records in memory. */
export function encodeZip(records: Iterable<readonly [string, Uint8Array]>): Uint8Array[] {
  const archive = beginArchive()
  const pieces: Uint8Array[] = []
  for (const [name, bytes] of records)
    pieces.push(archive.header(name, bytes.length), bytes, archive.checksum(crc32(bytes)))
  return [...pieces, ...archive.directory()]
}

const limit = 0xffffffff
/** Checksum and sizes follow the data (bit 3); the name is UTF-8 (bit 11). */
const flags = 0x808
/** 1 January 1980: the same content gives the same bytes. */
const day = 33

/** Source: APPNOTE.TXT 6.3.10 (PKWARE), sections 4.3 and 4.5.3. */
function beginArchive() {
  const entries: { name: Uint8Array; size: number; offset: number; crc: number }[] = []
  let offset = 0
  return {
    /** What stands before a record's data. */
    header(path: string, size: number): Uint8Array {
      const name = new TextEncoder().encode(path)
      entries.push({ name, size, offset, crc: 0 })
      const wide = size >= limit
      const sizes = wide ? [4, limit, 4, limit] : [4, 0, 4, 0]
      const extra = wide ? [2, 1, 2, 16, 8, 0, 8, 0] : []
      const bytes = fields(
        4,
        0x04034b50,
        2,
        version(wide),
        2,
        flags,
        2,
        0,
        2,
        0,
        2,
        day,
        4,
        0,
        ...sizes,
        2,
        name.length,
        2,
        wide ? 20 : 0,
      )
      const header = concatBytes(bytes, name, fields(...extra))
      offset += header.length + size
      return header
    },
    /** What stands behind it. */
    checksum(crc: number): Uint8Array {
      const entry = entries.at(-1)!
      entry.crc = crc
      const width = entry.size >= limit ? 8 : 4
      const bytes = fields(4, 0x08074b50, 4, crc, width, entry.size, width, entry.size)
      offset += bytes.length
      return bytes
    },
    *directory(): Generator<Uint8Array> {
      const begin = offset
      for (const { name, size, offset: at, crc } of entries) {
        const [wideSize, wideOffset] = [size >= limit, at >= limit]
        const extra = [...(wideSize ? [8, size, 8, size] : []), ...(wideOffset ? [8, at] : [])]
        const length = (wideSize ? 16 : 0) + (wideOffset ? 8 : 0)
        const needed = version(length > 0)
        const shown = Math.min(size, limit)
        const head = fields(
          4,
          0x02014b50,
          2,
          needed,
          2,
          needed,
          2,
          flags,
          2,
          0,
          2,
          0,
          2,
          day,
          4,
          crc,
          4,
          shown,
          4,
          shown,
        )
        const tail = fields(
          2,
          name.length,
          2,
          length > 0 ? length + 4 : 0,
          2,
          0,
          2,
          0,
          2,
          0,
          4,
          0,
          4,
          Math.min(at, limit),
        )
        const entry = concatBytes(head, tail, name, length > 0 ? fields(2, 1, 2, length, ...extra) : [])
        offset += entry.length
        yield entry
      }
      const size = offset - begin
      const count = entries.length
      if (begin >= limit || count >= 0xffff) {
        yield fields(4, 0x06064b50, 8, 44, 2, 45, 2, 45, 4, 0, 4, 0, 8, count, 8, count, 8, size, 8, begin)
        yield fields(4, 0x07064b50, 4, 0, 8, offset, 4, 1)
      }
      const shown = Math.min(count, 0xffff)
      yield fields(
        4,
        0x06054b50,
        2,
        0,
        2,
        0,
        2,
        shown,
        2,
        shown,
        4,
        Math.min(size, limit),
        4,
        Math.min(begin, limit),
        2,
        0,
      )
    },
  }
}

/** The version of the format that a reader must know: 2.0, or 4.5 for sizes of 64 bits. */
const version = (wide: boolean): number => (wide ? 45 : 20)

/** Little-endian numbers, each after its width in bytes. */
function fields(...widthsAndValues: number[]): Uint8Array {
  const bytes: number[] = []
  for (let i = 0; i < widthsAndValues.length; i += 2) {
    for (let k = 0; k < widthsAndValues[i]!; k++) bytes.push(Math.floor(widthsAndValues[i + 1]! / 256 ** k) % 256)
  }
  return Uint8Array.from(bytes)
}
