import { writeFileAtomic } from '#platform'
import { concatBytes } from '../../platform/bytes.js'
import { elementCount } from '../dtypes.js'
import { piecesOf, type TensorToWrite } from '../safetensors.js'
import { sortedByName } from '../safetensors-header.js'
import { quoted } from '../tensor-file.js'
import { blockTypes } from './blocks.js'

/** A tensor in one of ggml's types, `F16` or `Q8_0` for instance; its bytes are of that type. */
export interface GgufTensor extends Pick<TensorToWrite, 'shape' | 'bytes'> {
  readonly type: string
}

/** As most files have it; a file of another would have to say so. */
const alignment = 32
const valueTypes = { number: 4, boolean: 7, string: 8 } as const
/** GGML_MAX_DIMS, ggml.h. */
const mostDimensions = 4

/**
 * Writes a GGUF file of version 3 atomically, one tensor in memory at a time; the same content gives the same bytes.
 * Whole numbers become uint32.
 *
 * Throws RangeError for tensors that such a file cannot hold, FileError where it cannot be written.
 * Source: ggml, docs/gguf.md.
 */
export async function writeGguf(
  path: string,
  tensors: ReadonlyMap<string, GgufTensor>,
  values: ReadonlyMap<string, string | number | boolean> = new Map(),
): Promise<void> {
  await writeFileAtomic(path, ggufPieces(tensors, values))
}

async function* ggufPieces(
  tensors: ReadonlyMap<string, GgufTensor>,
  values: ReadonlyMap<string, string | number | boolean>,
): AsyncGenerator<Uint8Array> {
  const ordered = sortedByName(tensors)
  const parts: Uint8Array[] = [text('GGUF', false), u32(3), u64(ordered.length), u64(values.size)]
  for (const [key, value] of values) {
    const type = valueTypes[typeof value as keyof typeof valueTypes]
    parts.push(text(key), u32(type))
    if (typeof value === 'string') parts.push(text(value))
    else parts.push(typeof value === 'number' ? u32(value) : Uint8Array.of(value ? 1 : 0))
  }
  let offset = 0
  const sizes = new Map<string, number>()
  for (const [name, { type, shape }] of ordered) {
    const { number, size } = layOut(name, type, shape)
    parts.push(text(name), u32(shape.length), ...shape.toReversed().map(u64), u32(number), u64(offset))
    sizes.set(name, size)
    offset += Math.ceil(size / alignment) * alignment
  }
  const head = concatBytes(...parts)
  yield head
  yield padding(head.length)
  for (const [name, tensor] of ordered) {
    let length = 0
    for await (const piece of piecesOf(tensor)) {
      length += piece.length
      yield piece
    }
    if (length !== sizes.get(name))
      throw new RangeError(
        `Cannot write tensor ${quoted(name)}: ${tensor.type} of shape [${tensor.shape}] has ${sizes.get(name)} bytes, found ${length}`,
      )
    yield padding(length)
  }
}

function layOut(name: string, typeName: string, shape: readonly number[]): { number: number; size: number } {
  const [number, type] = [...blockTypes].find(([, { name }]) => name === typeName) ?? []
  const refuse = (reason: string): never => {
    throw new RangeError(`Cannot write tensor ${quoted(name)} of shape [${shape}] to a GGUF file: ${reason}`)
  }
  if (number === undefined || type === undefined) return refuse(`there is no type ${typeName}`)
  if (shape.length > mostDimensions) refuse(`it has more than ${mostDimensions} dimensions`)
  if ((shape.at(-1) ?? 1) % type.elements !== 0) refuse(`its rows are no whole blocks of ${type.elements}`)
  return { number, size: (elementCount(shape) / type.elements) * type.bytes }
}

const padding = (length: number): Uint8Array => new Uint8Array((alignment - (length % alignment)) % alignment)

function number(width: 4 | 8, value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(width))
  if (width === 4) view.setUint32(0, value, true)
  else view.setBigUint64(0, BigInt(value), true)
  return new Uint8Array(view.buffer)
}
const u32 = (value: number): Uint8Array => number(4, value)
const u64 = (value: number): Uint8Array => number(8, value)

function text(value: string, announced = true): Uint8Array {
  const bytes = new TextEncoder().encode(value)
  return announced ? concatBytes(u64(bytes.length), bytes) : bytes
}
