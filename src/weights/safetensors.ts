import { writeFileAtomic } from '#platform'
import type { FileSource } from '../platform/types.js'
import { type DType, dtypeBytes, elementCount, type TensorData } from './dtypes.js'
import { encodeHeader, headerLength, parseHeader, sortedByName, startLength } from './safetensors-header.js'
import { readStored } from './stored.js'
import { closingOnError, quoted, type StoredTensor, type TensorFile, wantedTensor } from './tensor-file.js'

/** A safetensors file whose tensors are read when asked for; each entry tells the tensor's place in the file. */
export type SafetensorsFile = TensorFile<StoredTensor>

/**
 * Opens a safetensors file: its header is read and checked, its tensors are not; closing it closes the source.
 *
 * Throws FileError where the file is damaged or hostile. Source: https://github.com/huggingface/safetensors#format.
 *
 * @example
 * const file = await openSafetensors(await openSource('model.safetensors'))
 * const weight = toFloat32(await file.read('model.diffusion_model.out.2.weight'))
 */
export async function openSafetensors(source: FileSource): Promise<SafetensorsFile> {
  const header = await closingOnError(source, async () => {
    const length = headerLength(await source.read(0, Math.min(startLength, source.size)), source.size, source.name)
    return parseHeader(await source.read(8, length), source.size, source.name)
  })
  const tensors = new Map<string, StoredTensor>()
  for (const [name, entry] of header.tensors) tensors.set(name, { ...entry, source })
  return {
    name: source.name,
    format: 'safetensors',
    metadata: header.metadata,
    tensors,
    read: async name => readStored(wantedTensor(source.name, tensors, name)),
    close: () => source.close(),
  }
}

/** Reads a whole safetensors file from memory; the tensors are views of `bytes`. Throws as `openSafetensors` does. */
export function readSafetensors(
  bytes: Uint8Array,
  name = 'safetensors bytes',
): { metadata: ReadonlyMap<string, string>; tensors: Map<string, TensorData> } {
  const length = headerLength(bytes.subarray(0, startLength), bytes.length, name)
  const header = parseHeader(bytes.subarray(8, 8 + length), bytes.length, name)
  const tensors = new Map<string, TensorData>()
  for (const [tensor, { dtype, shape, begin, end }] of header.tensors) {
    tensors.set(tensor, { dtype, shape, bytes: bytes.subarray(begin, end) })
  }
  return { metadata: header.metadata, tensors }
}

/** A tensor to be written; its bytes may be made only when their turn comes, all at once or in pieces. */
export interface TensorToWrite {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly bytes: Uint8Array | (() => Uint8Array | Promise<Uint8Array> | AsyncIterable<Uint8Array>)
}

/** The bytes of a tensor one after the other. */
export async function* piecesOf({ bytes }: Pick<TensorToWrite, 'bytes'>): AsyncGenerator<Uint8Array> {
  const made = typeof bytes === 'function' ? bytes() : bytes
  if (Symbol.asyncIterator in made) yield* made
  else yield await made
}

/**
 * Writes a safetensors file atomically, one tensor in memory at a time; the same content gives the same bytes.
 *
 * Throws FileError where the disk is full or the path cannot be written; what was there before then still is.
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, TensorToWrite>,
  metadata: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  await writeFileAtomic(path, safetensorsPieces(tensors, metadata))
}

/** A safetensors file in memory, for where there is no disk. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, TensorData>,
  metadata: ReadonlyMap<string, string> = new Map(),
): Uint8Array {
  const { header, ordered, dataSize } = layOut(tensors, metadata)
  const file = new Uint8Array(header.length + dataSize)
  file.set(header)
  let at = header.length
  for (const [name, tensor] of ordered) {
    checkLength(name, tensor, tensor.bytes.length)
    file.set(tensor.bytes, at)
    at += tensor.bytes.length
  }
  return file
}

async function* safetensorsPieces(
  tensors: ReadonlyMap<string, TensorToWrite>,
  metadata: ReadonlyMap<string, string>,
): AsyncGenerator<Uint8Array> {
  const { header, ordered } = layOut(tensors, metadata)
  yield header
  for (const [name, tensor] of ordered) {
    let length = 0
    for await (const piece of piecesOf(tensor)) {
      length += piece.length
      yield piece
    }
    checkLength(name, tensor, length)
  }
}

function layOut<T extends TensorToWrite>(tensors: ReadonlyMap<string, T>, metadata: ReadonlyMap<string, string>) {
  // Large elements first, so that every tensor is aligned to its own; then by name, so that equal content is equal bytes.
  const ordered = sortedByName(tensors).sort(([, a], [, b]) => dtypeBytes[b.dtype] - dtypeBytes[a.dtype])
  let at = 0
  const entries = ordered.map(([name, { dtype, shape }]) => {
    if (name === '__metadata__') throw new RangeError('A safetensors file cannot hold a tensor called __metadata__')
    const begin = at
    at += elementCount(shape) * dtypeBytes[dtype]
    return [name, { dtype, shape: [...shape], offsets: [begin, at] }] as const
  })
  return { header: encodeHeader(entries, metadata), ordered, dataSize: at }
}

function checkLength(name: string, { dtype, shape }: TensorToWrite, length: number): void {
  const wanted = elementCount(shape) * dtypeBytes[dtype]
  if (length !== wanted) {
    throw new RangeError(
      `Cannot write tensor ${quoted(name)}: ${dtype} of shape [${shape}] has ${wanted} bytes, found ${length}`,
    )
  }
}
