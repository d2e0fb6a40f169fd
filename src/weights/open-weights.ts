import { joinPath, openSource, parentFolder } from '#platform'
import type { FileSource, SourceLike } from '../platform/types.js'
import { openGguf } from './gguf/gguf.js'
import { openSafetensors } from './safetensors.js'
import { openSharded } from './sharded.js'
import { closingOnError, type StoredTensor, type TensorFile, type TensorInfo } from './tensor-file.js'
import { openTorchFile } from './torch/file.js'

/**
 * Opens a file of weights of any format that latentkit reads, told by its first bytes: safetensors, torch and GGUF. Of
 * weights in several files wanted is the path of their `….index.json`.
 *
 * Throws FileError as the readers do.
 *
 * @example
 * const file = await openWeights('v1-5-pruned-emaonly.safetensors')
 */
export async function openWeights(from: SourceLike): Promise<TensorFile<TensorInfo | StoredTensor>> {
  return weightsOf(await openSource(from))
}

/** The same of a source that is open already; closing the file closes it, and so does refusing it. */
export async function weightsOf(source: FileSource): Promise<TensorFile<TensorInfo | StoredTensor>> {
  if (source.name.endsWith('.json')) return openSharded(source, shard => openWeights(beside(source, shard)))
  const format = await closingOnError(source, () => formatOf(source))
  if (format === 'gguf') return openGguf(source)
  return format === 'torch' ? openTorchFile(source) : openSafetensors(source)
}

function beside({ name }: FileSource, file: string): string {
  return /^https?:/.test(name) ? new URL(file, name).href : joinPath(parentFolder(name), file)
}

/** By content, for names lie; by name where the content is of none, so that the refusal fits. */
async function formatOf(source: FileSource): Promise<'gguf' | 'torch' | 'safetensors'> {
  const start = await source.read(0, Math.min(9, source.size))
  const text = new TextDecoder('latin1').decode(start)
  if (text.startsWith('GGUF')) return 'gguf'
  // A header of at most 100 MB, whose length of 64 bits is so half zeros.
  if (text.endsWith('\0\0\0\0{')) return 'safetensors'
  if (text.startsWith('PK\x03\x04') || start[0] === 0x80 || /\.(ckpt|pt|pth|bin)$/i.test(source.name)) return 'torch'
  return /\.gguf$/i.test(source.name) ? 'gguf' : 'safetensors'
}
