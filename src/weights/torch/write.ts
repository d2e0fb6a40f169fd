import { writeFileAtomic } from '#platform'
import { concatBytes } from '../../platform/bytes.js'
import { type DType, dtypeBytes, elementCount, type TensorData } from '../dtypes.js'
import { piecesOf, type TensorToWrite } from '../safetensors.js'
import { encodeZip, zipPieces } from '../zip-write.js'

/** What a torch file can hold here; numbers are whole ones of 32 bits. */
export type TorchValue<Tensor = TensorData> =
  | string
  | number
  | null
  | Tensor
  | { readonly [key: string]: TorchValue<Tensor> }

/**
 * Writes what `torch.save` would write of plain dictionaries with tensors: a ZIP archive with a pickle and one record a
 * tensor, of which one is in memory at a time. Source: torch/serialization.py; the pickle's protocol is 2, as there.
 *
 * @throws TypeError for a tensor of a type that torch has no storage for, or a number that is no whole one of 32 bits.
 * @example
 * await writeTorchFile('model.ckpt', { state_dict: Object.fromEntries(tensors) })
 */
export async function writeTorchFile(path: string, value: TorchValue<TensorToWrite>): Promise<void> {
  const { pickle, tensors } = pickled(value)
  const record = (name: string, bytes: Uint8Array) => ({ name, size: bytes.length, pieces: () => [bytes] })
  await writeFileAtomic(
    path,
    zipPieces([
      ...frame(pickle).map(([name, bytes]) => record(name, bytes)),
      ...tensors.map((tensor, i) => ({ name: recordName(i), size: sizeOf(tensor), pieces: () => piecesOf(tensor) })),
    ]),
  )
}

/** The same in memory. */
export function encodeTorchFile(value: TorchValue): Uint8Array {
  const { pickle, tensors } = pickled(value)
  return concatBytes(
    ...encodeZip([...frame(pickle), ...tensors.map(({ bytes }, i) => [recordName(i), bytes] as const)]),
  )
}

const recordName = (tensor: number): string => `archive/data/${tensor}`

const frame = (pickle: Uint8Array): (readonly [string, Uint8Array])[] => [
  ['archive/data.pkl', pickle],
  ['archive/byteorder', new TextEncoder().encode('little')],
  ['archive/version', new TextEncoder().encode('3\n')],
]

const sizeOf = ({ dtype, shape }: Pick<TensorToWrite, 'dtype' | 'shape'>): number =>
  elementCount(shape) * dtypeBytes[dtype]

const storageTypes: Partial<Record<DType, string>> = {
  F64: 'DoubleStorage',
  F32: 'FloatStorage',
  F16: 'HalfStorage',
  BF16: 'BFloat16Storage',
  I64: 'LongStorage',
  I32: 'IntStorage',
  I16: 'ShortStorage',
  I8: 'CharStorage',
  U8: 'ByteStorage',
  BOOL: 'BoolStorage',
}

/** The pickle of a value, and its tensors in the order of their records. */
function pickled<Tensor extends TensorToWrite>(value: TorchValue<Tensor>): { pickle: Uint8Array; tensors: Tensor[] } {
  const tensors: Tensor[] = []
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
  function tensor(value: Tensor): void {
    const { dtype, shape } = value
    const storage = storageTypes[dtype]
    if (storage === undefined) throw new TypeError(`A torch file has no storage for tensors of ${dtype}`)
    global('torch._utils', '_rebuild_tensor_v2')
    op(opcodes.mark, opcodes.mark)
    text('storage')
    global('torch', storage)
    text(String(tensors.push(value) - 1))
    text('cpu')
    whole(elementCount(shape))
    op(opcodes.tuple, opcodes.persistent)
    whole(0)
    tuple(shape)
    tuple(shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1)))
    op(opcodes.false)
    global('collections', 'OrderedDict')
    op(opcodes.emptyTuple, opcodes.reduce, opcodes.tuple, opcodes.reduce)
  }

  function write(value: TorchValue<Tensor>): void {
    if (value === null) op(opcodes.none)
    else if (typeof value === 'string') text(value)
    else if (typeof value === 'number') whole(value)
    else if (isTensor(value)) tensor(value)
    else {
      op(opcodes.emptyDictionary, opcodes.mark)
      for (const [key, inner] of Object.entries(value as Record<string, TorchValue<Tensor>>)) {
        text(key)
        write(inner)
      }
      op(opcodes.setItems)
    }
  }

  op(opcodes.protocol, 2)
  write(value)
  op(opcodes.stop)
  return { pickle: concatBytes(...parts), tensors }
}

const isTensor = <Tensor extends TensorToWrite>(value: object): value is Tensor =>
  'bytes' in value && (value.bytes instanceof Uint8Array || typeof value.bytes === 'function')

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
