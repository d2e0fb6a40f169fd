import type { FileSource } from '../../platform/types.js'
import { widened } from '../blocks.js'
import { readGrowing } from '../growing.js'
import { computedTensor, readStored } from '../stored.js'
import { closingOnError, type StoredTensor, type TensorFile, wantedTensor } from '../tensor-file.js'
import { blocksOf, type QuantisedType } from './blocks.js'
import { type GgufEntry, type GgufValue, parseGguf } from './header.js'

/** The vocabularies of large language models have some megabytes. */
const largestHead = 256 << 20

export interface GgufFile extends TensorFile<StoredTensor> {
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
  const tensors = new Map<string, StoredTensor>()
  for (const [name, { type, shape, begin, end }] of entries) {
    if (type.plain) tensors.set(name, { dtype: type.plain, shape, source, begin, end })
    else tensors.set(name, inBlocks(source, { type, shape, begin, end }))
  }
  const metadata = new Map<string, string>()
  for (const [key, { value }] of values) if (typeof value === 'string') metadata.set(key, value)
  return {
    name: source.name,
    format: `GGUF of ${[...new Set([...entries.values()].map(({ type }) => type.name))].join(', ')}`,
    metadata,
    values,
    tensors,
    read: async name => readStored(wantedTensor(source.name, tensors, name)),
    close: () => source.close(),
  }
}

/** A tensor that is widened when it is read. */
function inBlocks(source: FileSource, { type, shape, begin, end }: GgufEntry & { type: QuantisedType }): StoredTensor {
  const read = async () => blocksOf(type, await source.read(begin, end - begin))
  const bytes = async () => new Uint8Array(widened(await read()).buffer)
  return { ...computedTensor(source.name, { dtype: 'F32', shape }, bytes), blocks: { form: type.form, read } }
}
