import { FileError } from '../platform/errors.js'
import type { FileSource } from '../platform/types.js'
import { storedTensors } from './stored.js'
import {
  closingOnError,
  quoted,
  type StoredTensor,
  type TensorFile,
  type TensorInfo,
  wantedTensor,
} from './tensor-file.js'

type Opened = TensorFile<TensorInfo | StoredTensor>

/** Indices of the largest models have some hundred kilobytes. */
const largest = 16 << 20

/**
 * Opens weights in several files by their index, `model.safetensors.index.json` or `pytorch_model.bin.index.json`; closing it
 * closes all, and so does refusing it.
 *
 * Throws FileError where the index is none, names what lies outside its folder, or a file lacks what it should hold.
 *
 * @param open opens a file by its plain name
 */
export async function openSharded(index: FileSource, open: (fileName: string) => Promise<Opened>): Promise<Opened> {
  const shards = new Map<string, { file: Opened; tensors: ReadonlyMap<string, StoredTensor> }>()
  const tensors = new Map<string, StoredTensor>()
  const files = new Map<string, Opened>()
  const close = async () => {
    for (const file of [index, ...[...shards.values()].map(({ file }) => file)]) await file.close()
  }
  const opened = async (fileName: string) => {
    const file = await open(fileName)
    const shard = { file, tensors: storedTensors(file) }
    shards.set(fileName, shard)
    return shard
  }
  await closingOnError({ close }, async () => {
    for (const [tensor, fileName] of await readWeightMap(index)) {
      const shard = shards.get(fileName) ?? (await opened(fileName))
      const info = shard.tensors.get(tensor)
      if (!info) throw new FileError(index.name, `says that ${fileName} holds ${quoted(tensor)}, which it does not`)
      tensors.set(tensor, info)
      files.set(tensor, shard.file)
    }
  })
  const [{ file } = { file: undefined }] = shards.values()
  return {
    name: index.name,
    format: `${file?.format ?? 'nothing'} in ${shards.size} files`,
    metadata: new Map(),
    tensors,
    read: async name => wantedTensor(index.name, files, name).read(name),
    close,
  }
}

async function readWeightMap(index: FileSource): Promise<[string, string][]> {
  const wanted = 'wanted is {"weight_map": {"tensor name": "file name", …}}'
  if (index.size > largest)
    throw new FileError(index.name, `has ${index.size} bytes, too many for an index of weights; ${wanted}`)
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(await index.read(0, index.size)))
  } catch (cause) {
    throw new FileError(index.name, `is no JSON index (${(cause as Error).message}); ${wanted}`, { cause })
  }
  const map = (json as { weight_map?: unknown } | null)?.weight_map
  if (typeof map !== 'object' || map === null || Array.isArray(map))
    throw new FileError(index.name, `is no index of weights: it has no weight_map; ${wanted}`)
  for (const [tensor, fileName] of Object.entries(map)) {
    // Of an index among its own files there would be no end.
    if (typeof fileName !== 'string' || !/^[^/\\:]+\.(safetensors|bin)$/.test(fileName)) {
      throw new FileError(
        index.name,
        `places ${quoted(tensor)} in ${quoted(String(fileName))}; wanted is the name of a .safetensors or .bin file in the same folder`,
      )
    }
  }
  return Object.entries(map)
}
