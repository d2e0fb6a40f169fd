import { FileError } from '../platform/errors.js'
import { type DType, dtypeBytes, elementCount, isDType } from './dtypes.js'
import { describeContent, quoted } from './tensor-file.js'

/** Where one tensor lies, in bytes from the beginning of the file. */
export interface HeaderEntry {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly begin: number
  readonly end: number
}

export interface Header {
  readonly metadata: ReadonlyMap<string, string>
  readonly tensors: ReadonlyMap<string, HeaderEntry>
}

/** The format's own limit, https://github.com/huggingface/safetensors#format. */
const largestHeader = 100_000_000

/** How many of the first bytes tell the length of the header, or what is there in the place of one. */
export const startLength = 40

/** Length of the header's JSON from the first bytes of a file; throws FileError if no header can be that long. */
export function headerLength(first: Uint8Array, fileSize: number, file: string): number {
  const length = first.length < 8 ? 0n : new DataView(first.buffer, first.byteOffset).getBigUint64(0, true)
  if (length < 2n || length > largestHeader)
    throw new FileError(file, `is no safetensors file: ${describeContent(first)}`, { offset: 0 })
  if (length > BigInt(fileSize - 8)) {
    throw new FileError(
      file,
      `is no whole safetensors file: its header has ${length} bytes, and ${fileSize - 8} follow; it was cut off, load it again`,
      { offset: 0 },
    )
  }
  return Number(length)
}

/**
 * Reads the header's JSON and checks that the tensors fill the rest of the file without gaps or overlaps.
 *
 * Stricter than a JSON parser: names must be unique, and only what the format knows may be there.
 */
export function parseHeader(json: Uint8Array, fileSize: number, file: string): Header {
  const dataBegin = 8 + json.length
  const { metadata, entries, byteAt } = parseJson(json, file)
  const tensors = new Map<string, HeaderEntry>()
  for (const [name, { dtype, shape, offsets, at }] of entries) {
    const fail = (reason: string): never => {
      throw new FileError(file, `tensor ${quoted(name)} ${reason}; the file is damaged`, { offset: byteAt(at) })
    }
    if (!isDType(dtype))
      return fail(`has the element type ${quoted(dtype)}, known are ${Object.keys(dtypeBytes).join(' ')}`)
    const [begin, end] = offsets
    if (begin === undefined || end === undefined || offsets.length !== 2)
      return fail(`has ${offsets.length} offsets, not 2`)
    let bytes: number
    try {
      bytes = elementCount([elementCount(shape), dtypeBytes[dtype]])
    } catch {
      return fail(`has the impossible shape [${shape.slice(0, 64)}]`)
    }
    if (end - begin !== bytes) {
      return fail(
        `of type ${dtype} and shape [${shape}] needs ${bytes} bytes, its offsets ${begin} to ${end} span ${end - begin}`,
      )
    }
    tensors.set(name, { dtype, shape, begin: dataBegin + begin, end: dataBegin + end })
  }
  let filled = dataBegin
  for (const [name, { begin, end }] of [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== filled) {
      const what = begin < filled ? 'overlaps the tensor before it' : 'leaves a gap before it'
      throw new FileError(file, `tensor ${quoted(name)} ${what}; the file is damaged`, { offset: begin })
    }
    filled = end
  }
  if (filled !== fileSize) {
    throw new FileError(
      file,
      `its tensors end at byte ${filled}, the file at ${fileSize}; it was cut or damaged, load it again`,
      { offset: Math.min(filled, fileSize) },
    )
  }
  return { metadata, tensors }
}

interface JsonEntry {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly offsets: readonly number[]
}

interface ParsedEntry extends JsonEntry {
  /** The character of the header at which it is described. */
  readonly at: number
}

/** A parser of just this grammar: JSON.parse would let names repeat and numbers lose digits. */
function parseJson(json: Uint8Array, file: string) {
  const text = decode(json, file)
  let at = 0
  /** The byte of the file at a character, which is counted only for messages. */
  const byteAt = (character: number) => 8 + new TextEncoder().encode(text.slice(0, character)).length

  function fail(wanted: string): never {
    const found = at < text.length ? JSON.stringify(text.slice(at, at + 12)) : 'its end'
    throw new FileError(
      file,
      `the safetensors header holds ${found} at character ${at}, not ${wanted}; the file is damaged`,
      { offset: byteAt(at) },
    )
  }
  function skipSpace(): void {
    while (at < text.length && ' \n\r\t'.includes(text[at]!)) at++
  }
  function accept(sign: string): boolean {
    skipSpace()
    if (text[at] !== sign) return false
    at++
    return true
  }
  function expect(sign: string): void {
    if (!accept(sign)) fail(JSON.stringify(sign))
  }
  function string(what: string): string {
    skipSpace()
    if (text[at] !== '"') fail(what)
    let end = at + 1
    while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1
    try {
      const value = JSON.parse(text.slice(at, end + 1)) as string
      at = end + 1
      return value
    } catch {
      return fail(what)
    }
  }
  function integer(): number {
    skipSpace()
    const digits = /(?:0|[1-9]\d{0,15})(?![\d.eE])/y
    digits.lastIndex = at
    const value = Number(digits.exec(text)?.[0])
    if (!Number.isSafeInteger(value)) fail('an integer from 0 to 2^53')
    at = digits.lastIndex
    return value
  }
  function integers(): number[] {
    expect('[')
    const values: number[] = []
    if (accept(']')) return values
    do values.push(integer())
    while (accept(','))
    expect(']')
    return values
  }
  /** An object whose members `read` takes by their names, which may not repeat. */
  function object(read: (key: string) => void): void {
    const seen = new Set<string>()
    expect('{')
    if (accept('}')) return
    do {
      const key = string('a name')
      if (seen.has(key))
        throw new FileError(file, `the safetensors header has ${quoted(key)} twice; the file is damaged`, {
          offset: byteAt(at),
        })
      seen.add(key)
      expect(':')
      read(key)
    } while (accept(','))
    expect('}')
  }
  function entry(name: string): ParsedEntry {
    const begin = at
    let dtype: string | undefined
    let shape: number[] | undefined
    let offsets: number[] | undefined
    object(key => {
      if (key === 'dtype') dtype = string('an element type')
      else if (key === 'shape') shape = integers()
      else if (key === 'data_offsets') offsets = integers()
      else fail(`dtype, shape or data_offsets instead of ${quoted(key)}`)
    })
    if (dtype === undefined || shape === undefined || offsets === undefined) {
      throw new FileError(file, `tensor ${quoted(name)} lacks its dtype, shape or data_offsets; the file is damaged`, {
        offset: byteAt(begin),
      })
    }
    return { dtype, shape, offsets, at: begin }
  }

  const metadata = new Map<string, string>()
  const entries = new Map<string, ParsedEntry>()
  if (text[0] !== '{') fail('"{"')
  object(name => {
    if (name === '__metadata__') object(key => metadata.set(key, string('a text')))
    else entries.set(name, entry(name))
  })
  skipSpace()
  if (at < text.length) fail('its end')
  return { metadata, entries, byteAt }
}

function decode(json: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json)
  } catch (cause) {
    throw new FileError(file, 'the safetensors header is not UTF-8; the file is damaged', { offset: 8, cause })
  }
}

/** The first bytes of a file: the length, the JSON, and spaces up to a multiple of 8. */
export function encodeHeader(
  entries: Iterable<readonly [string, JsonEntry]>,
  metadata: ReadonlyMap<string, string>,
): Uint8Array {
  const members: string[] = []
  if (metadata.size > 0) members.push(`"__metadata__":${JSON.stringify(Object.fromEntries(sortedByName(metadata)))}`)
  for (const [name, { dtype, shape, offsets }] of entries) {
    members.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: offsets })}`)
  }
  const json = new TextEncoder().encode(`{${members.join(',')}}`)
  const header = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(32)
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true)
  header.set(json, 8)
  return header
}

/** Pairs in the code-unit order of their names. */
export function sortedByName<T>(pairs: Iterable<readonly [string, T]>): (readonly [string, T])[] {
  return [...pairs].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
}
