import { checkRange } from '../platform/sources.js'
import type { FileSource } from '../platform/types.js'
import { dtypeBytes, elementCount, type TensorData } from './dtypes.js'
import type { StoredTensor, TensorFile, TensorInfo } from './tensor-file.js'

/**
 * All tensors of a file as if each lay somewhere in one piece, which those of pickles and GGUF need not: what has no place
 * of its own is made when it is read, and kept by nobody.
 */
export function storedTensors(
  file: Pick<TensorFile<TensorInfo | StoredTensor>, 'name' | 'tensors' | 'read'>,
): Map<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>()
  for (const [name, info] of file.tensors) {
    const stored = 'source' in info ? info : computedTensor(file.name, info, async () => (await file.read(name)).bytes)
    tensors.set(name, stored)
  }
  return tensors
}

/** A tensor whose bytes are made whenever they are read. */
export function computedTensor(
  file: string,
  { dtype, shape }: TensorInfo,
  bytes: () => Promise<Uint8Array>,
): StoredTensor {
  const size = elementCount(shape) * dtypeBytes[dtype]
  const source: FileSource = {
    name: file,
    size,
    path: undefined,
    async read(offset, length) {
      checkRange(source, offset, length)
      return (await bytes()).subarray(offset, offset + length)
    },
    async close() {},
  }
  return { dtype, shape, source, begin: 0, end: size }
}

/** The elements of a tensor by its place. */
export async function readStored({ dtype, shape, source, begin, end }: StoredTensor): Promise<TensorData> {
  return { dtype, shape, bytes: await source.read(begin, end - begin) }
}

/** Some of the rows of a tensor, where it lies. */
export function rowsOf(tensor: StoredTensor, first: number, count: number): StoredTensor {
  const { dtype, shape, source, begin } = tensor
  const rest = shape.slice(1)
  const row = elementCount(rest) * dtypeBytes[dtype]
  return { dtype, shape: [count, ...rest], source, begin: begin + first * row, end: begin + (first + count) * row }
}

/** Rows of tensors of one type, one below the other; they are read when the result is. */
export function stackedRows(pieces: readonly StoredTensor[]): StoredTensor {
  const { dtype, shape, source } = pieces[0]!
  const rows = pieces.reduce((sum, { shape }) => sum + shape[0]!, 0)
  return computedTensor(source.name, { dtype, shape: [rows, ...shape.slice(1)] }, async () => {
    const out = new Uint8Array(pieces.reduce((sum, { begin, end }) => sum + end - begin, 0))
    let at = 0
    for (const piece of pieces) {
      const { bytes } = await readStored(piece)
      out.set(bytes, at)
      at += bytes.length
    }
    return out
  })
}

/** A matrix with rows for columns. */
export function transposed(tensor: StoredTensor): StoredTensor {
  const { dtype, source } = tensor
  const [rows, columns] = tensor.shape as [number, number]
  const size = dtypeBytes[dtype]
  return computedTensor(source.name, { dtype, shape: [columns, rows] }, async () => {
    const { bytes } = await readStored(tensor)
    const out = new Uint8Array(bytes.length)
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        const from = (i * columns + j) * size
        const to = (j * rows + i) * size
        for (let k = 0; k < size; k++) out[to + k] = bytes[from + k]!
      }
    }
    return out
  })
}
