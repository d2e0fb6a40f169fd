// What the bytes of a file say, read a second way: short readers that check nothing. Of files that the readers of
// latentkit took, both must give the same.
import { widened } from '../../dist/weights/blocks.js'
import { blocksOf, blockTypes } from '../../dist/weights/gguf/blocks.js'

/** Tensors of a safetensors file. */
export function safetensorsSay(bytes) {
  const length = Number(Buffer.from(bytes).readBigUInt64LE(0))
  const { __metadata__: _, ...entries } = JSON.parse(Buffer.from(bytes.subarray(8, 8 + length)).toString())
  return new Map(
    Object.entries(entries).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [begin, end],
        },
      ]) => [name, { dtype, shape, bytes: bytes.subarray(8 + length + begin, 8 + length + end) }],
    ),
  )
}

const scalarSizes = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 }

/** Tensors of a GGUF file. */
export function ggufSays(bytes) {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  let at = 8
  const u32 = () => buffer.readUInt32LE((at += 4) - 4)
  const u64 = () => Number(buffer.readBigUInt64LE((at += 8) - 8))
  const text = () => {
    const length = u64()
    return buffer.toString('utf8', at, (at += length))
  }
  const value = type => {
    if (type === 8) return text()
    if (type !== 9) return (at += scalarSizes[type]) && (type === 4 ? buffer.readUInt32LE(at - 4) : undefined)
    const inner = u32()
    for (let left = u64(); left > 0; left--) value(inner)
  }
  const [tensors, values] = [u64(), u64()]
  let alignment = 32
  for (let i = 0; i < values; i++) {
    const key = text()
    const type = u32()
    const start = at
    const found = value(type)
    if (key === 'general.alignment') alignment = found ?? buffer.readUIntLE(start, Math.min(at - start, 6))
  }
  const list = Array.from({ length: tensors }, () => {
    const name = text()
    const shape = Array.from({ length: u32() }, u64).reverse()
    return { name, shape, type: blockTypes.get(u32()), offset: u64() }
  })
  const begin = Math.ceil(at / alignment) * alignment
  return new Map(
    list.map(({ name, shape, type, offset }) => {
      const size = (shape.reduce((a, b) => a * b, 1) / type.elements) * type.bytes
      const data = bytes.slice(begin + offset, begin + offset + size)
      const numbers = type.plain ? data : new Uint8Array(widened(blocksOf(type, data)).buffer)
      return [name, { dtype: type.plain ?? 'F32', shape, bytes: numbers }]
    }),
  )
}

/** The numbers of a .npy array. */
export function npySays(bytes) {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const begin = bytes[6] > 1 ? 12 : 10
  const data = begin + (bytes[6] > 1 ? buffer.readUInt32LE(8) : buffer.readUInt16LE(8))
  const header = buffer.toString('latin1', begin, data)
  const kind = /'([<|][fi][48])'/.exec(header)[1]
  const shape = /\(([\d, ]*)\)/.exec(header)[1].match(/\d+/g)?.map(Number) ?? []
  const read = { '<f4': 'readFloatLE', '<f8': 'readDoubleLE', '<i8': 'readBigInt64LE' }[kind]
  const numbers = []
  for (let at = data; at < bytes.length; at += Number(kind[2])) numbers.push(Number(buffer[read](at)))
  return { shape, numbers }
}
