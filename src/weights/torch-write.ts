import { crc32 } from '../platform/crc32.js'
import type { TensorData } from './dtypes.js'

/** What a torch file can hold here; numbers are whole ones of 32 bits. */
export type TorchValue = string | number | null | TensorData | { readonly [key: string]: TorchValue }

/**
 * What `torch.save` would write of plain dictionaries with float32 tensors: a ZIP archive with a pickle and one record a
 * tensor. Source: torch/serialization.py; the pickle's protocol is 2, as there.
 *
 * @throws TypeError for a tensor that is not F32, or a number that is no whole one of 32 bits.
 * @example
 * await writeFileAtomic('word.pt', encodeTorchFile({ string_to_param: { '*': vectors } }))
 */
export function encodeTorchFile(value: TorchValue): Uint8Array<ArrayBuffer> {
  const storages: Uint8Array[] = []
  const parts: Uint8Array[] = []
  const op = (...codes: number[]) => parts.push(Uint8Array.from(codes))
  const int = (code: number, number: number) => {
    const bytes = new DataView(new ArrayBuffer(5))
    bytes.setUint8(0, code)
    bytes.setInt32(1, number, true)
    parts.push(new Uint8Array(bytes.buffer))
  }
  const text = (string: string) => {
    const bytes = new TextEncoder().encode(string)
    int(opcodes.unicode, bytes.length)
    parts.push(bytes)
  }
  const global = (module: string, name: string) => {
    op(opcodes.global)
    parts.push(new TextEncoder().encode(`${module}\n${name}\n`))
  }
  const whole = (number: number) => {
    if (!Number.isInteger(number) || Math.abs(number) >= 2 ** 31)
      throw new TypeError(`A torch file is written with whole numbers of 32 bits, found ${number}`)
    int(opcodes.int, number)
  }
  const tuple = (numbers: readonly number[]) => {
    op(opcodes.mark)
    for (const number of numbers) whole(number)
    op(opcodes.tuple)
  }

  /** `_rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`, the storage by its persistent id. */
  function tensor({ dtype, shape, bytes }: TensorData): void {
    if (dtype !== 'F32') throw new TypeError(`A torch file is written with F32 tensors, found ${dtype}`)
    global('torch._utils', '_rebuild_tensor_v2')
    op(opcodes.mark, opcodes.mark)
    text('storage')
    global('torch', 'FloatStorage')
    text(String(storages.push(bytes) - 1))
    text('cpu')
    whole(bytes.length / 4)
    op(opcodes.tuple, opcodes.persistent)
    whole(0)
    tuple(shape)
    tuple(shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1)))
    op(opcodes.false)
    global('collections', 'OrderedDict')
    op(opcodes.emptyTuple, opcodes.reduce, opcodes.tuple, opcodes.reduce)
  }

  function write(value: TorchValue): void {
    if (value === null) op(opcodes.none)
    else if (typeof value === 'string') text(value)
    else if (typeof value === 'number') whole(value)
    else if (value.bytes instanceof Uint8Array) tensor(value as TensorData)
    else {
      op(opcodes.emptyDictionary, opcodes.mark)
      for (const [key, inner] of Object.entries(value as Record<string, TorchValue>)) {
        text(key)
        write(inner)
      }
      op(opcodes.setItems)
    }
  }

  op(opcodes.protocol, 2)
  write(value)
  op(opcodes.stop)
  return zip([
    ['archive/data.pkl', joined(parts)],
    ['archive/byteorder', new TextEncoder().encode('little')],
    ...storages.map((bytes, i) => [`archive/data/${i}`, bytes] as const),
    ['archive/version', new TextEncoder().encode('3\n')],
  ])
}

/** pickletools.py. */
const opcodes = {
  protocol: 0x80,
  stop: 0x2e,
  mark: 0x28,
  none: 0x4e,
  false: 0x89,
  int: 0x4a,
  unicode: 0x58,
  emptyDictionary: 0x7d,
  setItems: 0x75,
  tuple: 0x74,
  emptyTuple: 0x29,
  global: 0x63,
  reduce: 0x52,
  persistent: 0x51,
} as const

/** A ZIP archive of entries that are not compressed. Source: APPNOTE.TXT of PKWARE, 4.3. */
function zip(entries: readonly (readonly [string, Uint8Array])[]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = []
  const directory: Uint8Array[] = []
  let at = 0
  const put = (list: Uint8Array[], ...bytes: Uint8Array[]) => {
    list.push(...bytes)
    return bytes.reduce((sum, { length }) => sum + length, 0)
  }
  for (const [path, bytes] of entries) {
    const name = new TextEncoder().encode(path)
    // Version 2.0, names in UTF-8, stored, 1 January 1980.
    const common = [20, 0x800, 0, 0, 0x21, ...halves(crc32(bytes)), ...halves(bytes.length), ...halves(bytes.length)]
    const entry = words(...common, name.length, 0)
    put(directory, words(0x4b50, 0x0201, 20), entry, words(0, 0, 0, ...halves(0), ...halves(at)), name)
    at += put(parts, words(0x4b50, 0x0403), entry, name, bytes)
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0)
  const end = words(0x4b50, 0x0605, 0, 0, entries.length, entries.length, ...halves(size), ...halves(at), 0)
  return joined([...parts, ...directory, end])
}

const halves = (number: number): number[] => [number & 0xffff, number >>> 16]
const words = (...numbers: number[]): Uint8Array => new Uint8Array(Uint16Array.from(numbers).buffer)

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
