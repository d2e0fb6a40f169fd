import { FileError } from '../../platform/errors.js'
import { elementCount } from '../dtypes.js'
import { CutOff } from '../growing.js'
import { quoted } from '../tensor-file.js'
import { type BlockType, blockTypes } from './blocks.js'

const scalarTypes = [
  'uint8',
  'int8',
  'uint16',
  'int16',
  'uint32',
  'int32',
  'float32',
  'bool',
  'string',
  'array',
] as const
const wideTypes = ['uint64', 'int64', 'float64'] as const
export type GgufType = (typeof scalarTypes)[number] | (typeof wideTypes)[number]

/** A value of the metadata; 64-bit integers are bigints. */
export type GgufScalar = number | bigint | boolean | string | readonly GgufScalar[]
/** An entry of the metadata with its type. */
export interface GgufValue {
  readonly type: GgufType
  readonly value: GgufScalar
}

/** A tensor's place. */
export interface GgufEntry {
  readonly type: BlockType
  /** Outermost dimension first, as everywhere but in the file. */
  readonly shape: readonly number[]
  /** Bytes from the beginning of the file. */
  readonly begin: number
  readonly end: number
}

/** What the head of a file says. */
export interface GgufHeader {
  readonly values: ReadonlyMap<string, GgufValue>
  readonly tensors: ReadonlyMap<string, GgufEntry>
}

const damaged = 'the file is damaged'
/** GGML_MAX_DIMS, ggml.h. */
const mostDimensions = 4
const deepestArray = 4

/**
 * Reads the head of a GGUF file of version 2 or 3 (little-endian) and checks that its tensors lie inside the file.
 *
 * Throws CutOff where `bytes` are too few and FileError where anything is wrong. Source: ggml, docs/gguf.md.
 */
export function parseGguf(bytes: Uint8Array, fileSize: number, file: string): GgufHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0

  function fail(reason: string): never {
    throw new FileError(file, `${reason}; ${damaged}`, { offset: at })
  }
  function take(length: number): number {
    if (!(length <= fileSize - at)) fail(`its head goes on for ${length} bytes where ${fileSize - at} are left`)
    if (length > bytes.length - at) throw new CutOff(file, `its head ends too early; ${damaged}`, { offset: at })
    at += length
    return at - length
  }
  const u32 = () => view.getUint32(take(4), true)
  const u64 = () => Number(view.getBigUint64(take(8), true))
  /** A number of things of which each takes at least `least` bytes. */
  function count(least: number): number {
    const value = u64()
    if (value * least > fileSize - at) fail(`${value} entries are announced where ${fileSize - at} bytes are left`)
    return value
  }
  function text(): string {
    const length = u64()
    const from = take(length)
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(from, at))
    } catch {
      return fail('a text is not UTF-8')
    }
  }
  function typeOf(number: number): GgufType {
    return (
      scalarTypes[number] ?? wideTypes[number - scalarTypes.length] ?? fail(`a value has the unknown type ${number}`)
    )
  }
  function value(type: GgufType, depth = 0): GgufScalar {
    switch (type) {
      case 'uint8':
        return view.getUint8(take(1))
      case 'int8':
        return view.getInt8(take(1))
      case 'uint16':
        return view.getUint16(take(2), true)
      case 'int16':
        return view.getInt16(take(2), true)
      case 'uint32':
        return u32()
      case 'int32':
        return view.getInt32(take(4), true)
      case 'uint64':
        return view.getBigUint64(take(8), true)
      case 'int64':
        return view.getBigInt64(take(8), true)
      case 'float32':
        return view.getFloat32(take(4), true)
      case 'float64':
        return view.getFloat64(take(8), true)
      case 'bool': {
        const byte = view.getUint8(take(1))
        return byte > 1 ? fail(`a truth value is ${byte}`) : byte === 1
      }
      case 'string':
        return text()
      case 'array': {
        if (depth === deepestArray) fail('arrays are nested too deep')
        const inner = typeOf(u32())
        const length = count(inner === 'string' ? 8 : inner === 'array' ? 12 : 1)
        const items: GgufScalar[] = []
        for (let i = 0; i < length; i++) items.push(value(inner, depth + 1))
        return items
      }
    }
  }

  const magic = take(4)
  if (view.getUint32(magic) !== 0x47475546) fail('it does not begin with GGUF')
  const version = u32()
  if (version !== 2 && version !== 3) fail(`it is of version ${version}, readable are 2 and 3 (little-endian)`)
  const tensorCount = count(24)
  const valueCount = count(12)
  const values = new Map<string, GgufValue>()
  for (let i = 0; i < valueCount; i++) {
    const key = text()
    if (values.has(key)) fail(`the key ${quoted(key)} is there twice`)
    const type = typeOf(u32())
    values.set(key, { type, value: value(type) })
  }
  const alignment = values.get('general.alignment')?.value ?? 32
  if (typeof alignment !== 'number' || alignment < 1 || Math.log2(alignment) % 1 !== 0) {
    fail(`general.alignment is ${alignment}, no power of two`)
  }

  const relative = new Map<string, { type: BlockType; shape: number[]; offset: number; size: number }>()
  for (let i = 0; i < tensorCount; i++) {
    const name = text()
    const dimensions = u32()
    if (dimensions > mostDimensions)
      fail(`tensor ${quoted(name)} has ${dimensions} dimensions, at most ${mostDimensions} are possible`)
    const shape = Array.from({ length: dimensions }, u64).reverse()
    const typeNumber = u32()
    const type = blockTypes.get(typeNumber)
    const offset = u64()
    if (relative.has(name)) fail(`tensor ${quoted(name)} is there twice`)
    if (!type) {
      const known = [...blockTypes.values()].map(known => known.name).join(' ')
      return fail(`tensor ${quoted(name)} has the unknown type ${typeNumber}, readable are ${known}`)
    }
    let elements: number
    try {
      elements = elementCount(shape)
    } catch {
      return fail(`tensor ${quoted(name)} has the impossible shape [${shape}]`)
    }
    const row = shape.at(-1) ?? 1
    if (row % type.elements !== 0)
      fail(`tensor ${quoted(name)} has rows of ${row}, no multiple of ${type.name}'s ${type.elements}`)
    if (offset % alignment !== 0)
      fail(`tensor ${quoted(name)} begins at ${offset}, which is not aligned to ${alignment}`)
    relative.set(name, { type, shape, offset, size: (elements / type.elements) * type.bytes })
  }

  const dataBegin = Math.ceil(at / alignment) * alignment
  const tensors = new Map<string, GgufEntry>()
  for (const [name, { type, shape, offset, size }] of relative) {
    const begin = dataBegin + offset
    if (!(begin + size <= fileSize)) fail(`tensor ${quoted(name)} ends at byte ${begin + size} of ${fileSize}`)
    tensors.set(name, { type, shape, begin, end: begin + size })
  }
  let filled = dataBegin
  for (const [name, { begin, end }] of [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (begin < filled) fail(`tensor ${quoted(name)} overlaps the one before it`)
    filled = end
  }
  return { values, tensors }
}
