import { decodeText } from '../platform/sources.js'
import type { ByteReader } from './byte-reader.js'

/** A file in an archive. */
export interface TarMember {
  readonly name: string
  readonly size: number
  /** Where its bytes begin in the unpacked archive. */
  readonly offset: number
  /** Its bytes, which must be asked for before the next member where the reader cannot go back. */
  bytes(): Promise<Uint8Array>
}

/** What was passed over, or why reading ended before the archive's end. */
export interface TarProblem {
  readonly reason: string
  /** The byte of the unpacked archive. */
  readonly offset: number
  /** The member that it is about. */
  readonly name?: string | undefined
  /** Nothing more is read. */
  readonly ends: boolean
}

/** An archive that cannot be read on; what came before it is good. */
class TarDamage extends Error {}

const block = 512
/** What an extended header (a long name, pax records) may hold. */
const maxExtended = 2 ** 20
/** Headers that describe other headers, one after the other, before an archive is refused. */
const maxChain = 16

interface Header {
  readonly name: string
  readonly size: number
  readonly kind: string
  /** Of a sparse file: another block of its map follows. */
  readonly sparseMore: boolean
}

/**
 * The files of a tar archive as they come, from the old format, ustar, GNU (long names, sizes beyond 8 GB) and pax.
 * Nothing is written and no name is a path to anything; links, devices and folders are passed over. Damage, a member
 * larger than `maxBytes` and a missing end are told to `onProblem`; after damage nothing more is read.
 *
 * Source: POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
 */
export async function* readTar(
  reader: ByteReader,
  { maxBytes, onProblem }: { maxBytes: number; onProblem: (problem: TarProblem) => void },
): AsyncGenerator<TarMember> {
  let current: string | undefined
  try {
    for (;;) {
      const start = reader.position
      current = undefined
      const header = await nextHeader(reader)
      if (header === undefined) return
      const { name, size, kind } = header
      current = name
      const offset = reader.position
      const padded = Math.ceil(size / block) * block
      if (!isFile(kind) || size > maxBytes) {
        const reason = whyNot(header, maxBytes)
        if (reason) onProblem({ reason, offset: start, name, ends: false })
        // Going on would unpack as many bytes as a header cares to declare.
        if (size > maxBytes && !reader.file) throw new TarDamage('the rest is not unpacked')
        await pass(reader, padded, size)
        continue
      }
      const { file } = reader
      if (file && offset + size > file.size) throw cutShort(offset + size - file.size)
      let taken: Promise<Uint8Array> | undefined
      yield {
        name,
        size,
        offset,
        bytes: () => (taken ??= file ? file.read(offset, size) : whole(reader, size)),
      }
      await taken
      await pass(reader, offset + padded - reader.position, offset + size - reader.position)
    }
  } catch (error) {
    if (!(error instanceof TarDamage)) throw error
    onProblem({ reason: error.message, offset: reader.position, name: current, ends: true })
  }
}

const isFile = (kind: string) => kind === '0' || kind === '\0' || kind === '7'

/** Why a member is passed over; undefined for folders and devices, which nobody misses. */
function whyNot({ kind, size }: Header, maxBytes: number): string | undefined {
  if (/[SM]/.test(kind)) return 'is stored in a form for sparse files, which is not read'
  if (/[12]/.test(kind)) return 'is a link, which is not followed'
  return isFile(kind) ? `declares ${size} bytes; at most ${maxBytes} are read` : undefined
}

const cutShort = (bytes: number) => new TarDamage(`is cut short: ${bytes} bytes of a file are missing`)

async function whole(reader: ByteReader, size: number): Promise<Uint8Array> {
  const bytes = await reader.take(size)
  if (bytes.length < size) throw cutShort(size - bytes.length)
  return bytes
}

/** Passes over `padded` bytes, of which `needed` must be there. */
async function pass(reader: ByteReader, padded: number, needed: number): Promise<void> {
  const skipped = await reader.skip(padded)
  if (skipped < needed) throw cutShort(needed - skipped)
}

/** The header of the next file, extended headers before it taken into account; undefined at the end. */
async function nextHeader(reader: ByteReader): Promise<Header | undefined> {
  let longName: string | undefined
  let pax = new Map<string, string>()
  for (let chain = 0; chain < maxChain; chain++) {
    const bytes = await reader.take(block)
    if (bytes.every(byte => byte === 0) && bytes.length > 0) return undefined
    if (bytes.length < block) throw new TarDamage('is cut short: the end of the archive is missing')
    const header = parseHeader(bytes)
    const { kind, size } = header
    if (!/[LKxgX]/.test(kind)) {
      let more = header.sparseMore
      while (more) more = (await whole(reader, block))[504] === 1
      const paxSize = pax.get('size')
      const sparse = [...pax.keys()].some(key => key.startsWith('GNU.sparse.'))
      return {
        ...header,
        name: text(pax.get('path') ?? longName ?? header.name),
        size: paxSize === undefined ? size : wholeNumber(paxSize),
        kind: sparse ? 'S' : kind,
      }
    }
    if (size > maxExtended) throw new TarDamage(`has an extended header that declares ${size} bytes`)
    const content = await whole(reader, size)
    await pass(reader, (block - (size % block)) % block, 0)
    if (kind === 'L') longName = utf8(content).replace(/\0.*$/s, '')
    else if (kind === 'x' || kind === 'X') pax = paxRecords(content)
  }
  throw new TarDamage(`has more than ${maxChain} extended headers in a row`)
}

function parseHeader(bytes: Uint8Array): Header {
  let unsigned = 0
  let signed = 0
  for (let i = 0; i < block; i++) {
    const byte = i >= 148 && i < 156 ? 32 : bytes[i]!
    unsigned += byte
    signed += byte > 127 ? byte - 256 : byte
  }
  const sum = octal(bytes.subarray(148, 156))
  // Old archives summed signed bytes.
  if (sum !== unsigned && sum !== signed) throw new TarDamage('has a damaged header: its check sum does not fit')
  const field = (from: number, length: number) => utf8(bytes.subarray(from, from + length)).replace(/\0.*$/s, '')
  const ustar = field(257, 6).startsWith('ustar') && bytes[262] === 0
  const prefix = ustar ? field(345, 155) : ''
  const kind = String.fromCharCode(bytes[156]!)
  return {
    name: prefix ? `${prefix}/${field(0, 100)}` : field(0, 100),
    size: number(bytes.subarray(124, 136)),
    kind,
    sparseMore: kind === 'S' && bytes[482] === 1,
  }
}

/** Octal digits, or (GNU) a first byte of 0x80 and the number in base 256. */
function number(bytes: Uint8Array): number {
  if (bytes[0]! < 128) return octal(bytes)
  const value = bytes.subarray(1).reduce((sum, byte) => sum * 256 + byte, bytes[0]! & 0x7f)
  if (!Number.isSafeInteger(value)) throw new TarDamage(`declares a file of ${value} bytes`)
  return value
}

function octal(bytes: Uint8Array): number {
  const digits = String.fromCharCode(...bytes)
    .replace(/[\0 ]+$/, '')
    .trimStart()
  if (!/^[0-7]*$/.test(digits)) throw new TarDamage('has a damaged header: a number is not octal')
  return Number.parseInt(digits || '0', 8)
}

function wholeNumber(digits: string): number {
  const value = Number(digits)
  if (!/^\d+$/.test(digits) || !Number.isSafeInteger(value)) throw new TarDamage('has a pax header with a wrong size')
  return value
}

/** Records `length key=value\n`, the length counting the whole record. */
function paxRecords(bytes: Uint8Array): Map<string, string> {
  const records = new Map<string, string>()
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(32, at)
    const length = space < 0 || space - at > 8 ? Number.NaN : Number(utf8(bytes.subarray(at, space)))
    const record = Number.isInteger(length) && length > 0 ? utf8(bytes.subarray(space + 1, at + length)) : ''
    const equals = record.indexOf('=')
    if (equals < 1 || !record.endsWith('\n') || at + length > bytes.length) {
      throw new TarDamage('has a damaged pax header')
    }
    records.set(record.slice(0, equals), record.slice(equals + 1, -1))
    at += length
  }
  return records
}

/** Names as they are: other encodings than UTF-8 keep their bytes as Latin-1. */
function utf8(bytes: Uint8Array): string {
  try {
    return decodeText(bytes, 'name')
  } catch {
    return Array.from(bytes, byte => String.fromCharCode(byte)).join('')
  }
}

const text = (name: string) => name.replace(/^(\.\/)+/, '')
