import { crc32 } from '../platform/crc32.js'
import { FileError } from '../platform/errors.js'
import type { FileSource } from '../platform/types.js'
import { quoted } from './tensor-file.js'

/** One stored record: bytes `begin` to `end` of the archive. */
export interface ZipEntry {
  readonly begin: number
  readonly end: number
  readonly crc: number
  /** Length of the record unpacked, where it is deflated. */
  readonly unpacked?: number
}

const largestDirectory = 64 << 20
const damaged = 'the archive is damaged or was cut off; load it again'

/**
 * The records of a ZIP archive by name, all checked to lie inside the file.
 *
 * Only what torch.save writes: nothing compressed (unless `deflated` allows what numpy writes) or encrypted, every name
 * once. Throws FileError otherwise.
 * Source: APPNOTE.TXT 6.3.10 (PKWARE), sections 4.3 and 4.5.3.
 */
export async function readZipDirectory(
  source: FileSource,
  { deflated = false }: { deflated?: boolean } = {},
): Promise<Map<string, ZipEntry>> {
  const { count, size, offset } = await findDirectory(source)
  const bytes = await source.read(offset, size)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const entries = new Map<string, ZipEntry>()
  let at = 0
  for (let i = 0; i < count; i++) {
    if (at + 46 > size || view.getUint32(at, true) !== 0x02014b50)
      throw new FileError(source.name, damaged, { offset: offset + at })
    const nameLength = view.getUint16(at + 28, true)
    const extraLength = view.getUint16(at + 30, true)
    const next = at + 46 + nameLength + extraLength + view.getUint16(at + 32, true)
    if (next > size) throw new FileError(source.name, damaged, { offset: offset + at })
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength))
    const extra = new DataView(bytes.buffer, bytes.byteOffset + at + 46 + nameLength, extraLength)
    const fail = (reason: string) =>
      new FileError(source.name, `record ${quoted(name)} ${reason}`, { offset: offset + at })
    if (view.getUint16(at + 8, true) & 1)
      throw fail('is encrypted, which torch.save never does; save it without a password')
    const packed = view.getUint16(at + 10, true) === 8 && deflated
    if (view.getUint16(at + 10, true) !== 0 && !packed)
      throw fail('is compressed, which torch.save never does; save it with torch.save')
    if (entries.has(name)) throw fail('is there twice; such an archive shows different things to different programs')
    const wide = zip64(extra, [
      view.getUint32(at + 24, true),
      view.getUint32(at + 20, true),
      view.getUint32(at + 42, true),
    ])
    const [full, stored, header] = wide ?? []
    if (full === undefined || stored === undefined || header === undefined || (!packed && stored !== full)) {
      throw fail(`has impossible sizes; ${damaged}`)
    }
    const begin = await dataBegin(source, header, bytes.subarray(at + 46, at + 46 + nameLength))
    if (begin === undefined || begin + stored > offset) throw fail(`lies outside the archive; ${damaged}`)
    entries.set(name, {
      begin,
      end: begin + stored,
      crc: view.getUint32(at + 16, true),
      ...(packed && { unpacked: full }),
    })
    at = next
  }
  return entries
}

/** Sizes and offset of a record, from the ZIP64 extra field where 32 bits do not hold them. */
function zip64(extra: DataView, values: readonly number[]): number[] | undefined {
  let field: DataView = new DataView(new ArrayBuffer(0))
  for (let at = 0; at + 4 <= extra.byteLength; ) {
    const length = extra.getUint16(at + 2, true)
    if (at + 4 + length > extra.byteLength) return undefined
    if (extra.getUint16(at, true) === 1) field = new DataView(extra.buffer, extra.byteOffset + at + 4, length)
    at += 4 + length
  }
  let used = 0
  const wide: number[] = []
  for (const value of values) {
    if (value !== 0xffffffff) wide.push(value)
    else if (used + 8 > field.byteLength) return undefined
    else {
      wide.push(Number(field.getBigUint64(used, true)))
      used += 8
    }
  }
  return wide.every(Number.isSafeInteger) ? wide : undefined
}

/** Where a record's data begins behind its local header, which must tell the same name. */
async function dataBegin(source: FileSource, header: number, name: Uint8Array): Promise<number | undefined> {
  const length = 30 + name.length
  if (header + length > source.size) return undefined
  const local = await source.read(header, length)
  const view = new DataView(local.buffer, local.byteOffset, length)
  if (view.getUint32(0, true) !== 0x04034b50 || view.getUint16(26, true) !== name.length) return undefined
  if (!name.every((byte, i) => byte === local[30 + i])) return undefined
  return header + length + view.getUint16(28, true)
}

async function findDirectory(source: FileSource): Promise<{ count: number; size: number; offset: number }> {
  const fail = (reason: string, offset: number) => new FileError(source.name, `${reason}; ${damaged}`, { offset })
  // The end record has 22 bytes and a comment of at most 65535; before it lies ZIP64's locator of 20.
  const tailLength = Math.min(source.size, 22 + 65535 + 20)
  const tailBegin = source.size - tailLength
  const tail = await source.read(tailBegin, tailLength)
  const view = new DataView(tail.buffer, tail.byteOffset, tailLength)
  let end = tailLength - 22
  while (
    end >= 0 &&
    !(view.getUint32(end, true) === 0x06054b50 && end + 22 + view.getUint16(end + 20, true) === tailLength)
  )
    end--
  if (end < 0) throw fail('has no end of a ZIP directory', source.size)
  let count = view.getUint16(end + 10, true)
  let size = view.getUint32(end + 12, true)
  let offset = view.getUint32(end + 16, true)
  let directoryEnd = tailBegin + end
  if (end >= 20 && view.getUint32(end - 20, true) === 0x07064b50) {
    const at = Number(view.getBigUint64(end - 12, true))
    if (at + 56 > directoryEnd) throw fail('has a ZIP64 directory beyond its end', directoryEnd - 20)
    const record = await source.read(at, 56)
    const wide = new DataView(record.buffer, record.byteOffset, 56)
    if (wide.getUint32(0, true) !== 0x06064b50) throw fail('has no ZIP64 directory where it says', at)
    count = Number(wide.getBigUint64(32, true))
    size = Number(wide.getBigUint64(40, true))
    offset = Number(wide.getBigUint64(48, true))
    directoryEnd = at
  }
  if (!(size <= largestDirectory && offset + size <= directoryEnd && count * 46 <= size)) {
    throw fail(`has a ZIP directory of ${count} records in ${size} bytes at ${offset}`, directoryEnd)
  }
  return { count, size, offset }
}

/** The bytes of a record; throws FileError where they do not fit their checksum. */
export async function readZipEntry(
  source: FileSource,
  name: string,
  { begin, end, crc, unpacked }: ZipEntry,
): Promise<Uint8Array> {
  const stored = await source.read(begin, end - begin)
  const bytes = unpacked === undefined ? stored : await inflate(stored, unpacked)
  if (bytes === undefined || crc32(bytes) !== crc) {
    throw new FileError(source.name, `record ${quoted(name)} does not fit its checksum; load the file again`, {
      offset: begin,
    })
  }
  return bytes
}

/** A deflated record of a known length; undefined where it is damaged or of another length. */
async function inflate(stored: Uint8Array, length: number): Promise<Uint8Array | undefined> {
  // No stream of n bytes unpacks to more than 1032 n: what says so is not given the memory.
  if (length > 1032 * stored.length) return undefined
  const out = new Uint8Array(length)
  const packed = new Blob([stored as Uint8Array<ArrayBuffer>]).stream()
  const reader = packed.pipeThrough(new DecompressionStream('deflate-raw')).getReader()
  let at = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return at === length ? out : undefined
      if (at + value.length > length) return undefined
      out.set(value, at)
      at += value.length
    }
  } catch {
    return undefined
  } finally {
    await reader.cancel().catch(() => {})
  }
}
