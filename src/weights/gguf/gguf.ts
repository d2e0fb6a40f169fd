import { FileError } from '../../platform/errors.js'
import type { FileSource } from '../../platform/types.js'
import { widened } from '../blocks.js'
import { elementCount } from '../dtypes.js'
import { readGrowing } from '../growing.js'
import { computedTensor, readStored } from '../stored.js'
import { closingOnError, quoted, type StoredTensor, type TensorFile, wantedTensor } from '../tensor-file.js'
import { blocksOf } from './blocks.js'
import { type GgufEntry, type GgufValue, parseGguf } from './header.js'

/** The vocabularies of large language models have some megabytes. */
const largestHead = 256 << 20

/** An opened GGUF file. */
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
  await closingOnError(source, async () => {
    for (const [name, entry] of entries)
      tensors.set(name, tensorOf(source, entry, shapeBefore(source.name, values, name, entry)))
  })
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

/**
 * The shape that a tensor had before its rows were made to be whole blocks.
 *
 * Throws FileError where that is of another size. Source: ComfyUI-GGUF, tools/convert.py and loader.py, get_orig_shape.
 */
function shapeBefore(
  file: string,
  values: ReadonlyMap<string, GgufValue>,
  name: string,
  { shape }: GgufEntry,
): readonly number[] {
  const told = values.get(`comfy.gguf.orig_shape.${name}`)?.value
  if (told === undefined) return shape
  const before = Array.isArray(told) ? told.map(Number) : []
  if (
    before.length > 0 &&
    before.every(size => Number.isSafeInteger(size) && size > 0) &&
    elementCount(before) === elementCount(shape)
  )
    return before
  throw new FileError(file, `says that tensor ${quoted(name)} [${shape}] was of shape [${told}]; the file is damaged`)
}

/** A tensor; one in blocks is widened when it is read. */
function tensorOf(source: FileSource, entry: GgufEntry, shape: readonly number[]): StoredTensor {
  const { type, begin, end } = entry
  if (type.plain) return { dtype: type.plain, shape, source, begin, end }
  const read = async () => blocksOf(type, await source.read(begin, end - begin))
  const bytes = async () => new Uint8Array(widened(await read()).buffer)
  const tensor = computedTensor(source.name, { dtype: 'F32', shape }, bytes)
  return shape === entry.shape ? { ...tensor, blocks: { form: type.form, read } } : tensor
}
