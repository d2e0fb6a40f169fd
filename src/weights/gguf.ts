import type { FileSource } from '../platform/types.js'
import type { TensorData } from './dtypes.js'
import { dequantise } from './gguf-blocks.js'
import { type GgufEntry, type GgufValue, parseGguf } from './gguf-header.js'
import { readGrowing } from './growing.js'
import { closingOnError, type StoredTensor, type TensorFile, type TensorInfo, wantedTensor } from './tensor-file.js'

/** The vocabularies of large language models have some megabytes. */
const largestHead = 256 << 20

export interface GgufFile extends TensorFile<TensorInfo | StoredTensor> {
  /** The metadata with its types; `metadata` has the texts of it. */
  readonly values: ReadonlyMap<string, GgufValue>
}

/**
 * Opens a GGUF file. Quantised tensors are F32 and dequantised by `read`; of the others the place is told as well.
 *
 * Shapes are outermost dimension first. Throws FileError where the file is damaged, hostile or of an unknown type.
 * Source: ggml, docs/gguf.md. Closing the file closes the source, and so does refusing it.
 *
 * @example
 * const file = await openGguf(await openSource('unet-Q8_0.gguf'))
 */
export async function openGguf(source: FileSource): Promise<GgufFile> {
  const { values, tensors: entries } = await closingOnError(source, () =>
    readGrowing(source, 0, largestHead, bytes => parseGguf(bytes, source.size, source.name)),
  )
  const tensors = new Map<string, TensorInfo | StoredTensor>()
  for (const [name, { type, shape, begin, end }] of entries) {
    tensors.set(name, type.plain ? { dtype: type.plain, shape, source, begin, end } : { dtype: 'F32', shape })
  }
  const metadata = new Map<string, string>()
  for (const [key, { value }] of values) if (typeof value === 'string') metadata.set(key, value)
  return {
    name: source.name,
    format: `GGUF of ${[...new Set([...entries.values()].map(({ type }) => type.name))].join(', ')}`,
    metadata,
    values,
    tensors,
    read: async name => readEntry(source, wantedTensor(source.name, entries, name)),
    close: () => source.close(),
  }
}

async function readEntry(source: FileSource, { type, shape, begin, end }: GgufEntry): Promise<TensorData> {
  const bytes = await source.read(begin, end - begin)
  if (type.plain) return { dtype: type.plain, shape, bytes }
  return { dtype: 'F32', shape, bytes: new Uint8Array(dequantise(type, bytes).buffer) }
}
