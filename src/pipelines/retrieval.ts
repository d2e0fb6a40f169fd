import { fileInfo } from '#platform'
import type { ConditioningConfig, Neighbours, Request } from '../conditioning/index.js'
import { type Dataset, openFolder, readPicture } from '../data/index.js'
import { flatten, type Image } from '../image/index.js'
import { type Extractor, openExtractor } from '../metrics/index.js'
import { FileError, LatentkitError } from '../platform/errors.js'
import type { Device } from '../runtime/index.js'
import type { Checkpoint } from '../weights/checkpoint.js'
import { toFloat32 } from '../weights/dtypes.js'

/** Where a checkpoint keeps the embeddings of its training pictures. */
export const indexName = 'neighbours.embeddings'

/**
 * The network whose embeddings tell which pictures are alike: of a file of weights, or the SqueezeNet that comes with
 * latentkit.
 *
 * @throws LatentkitError where its embeddings have another width than the model wants.
 */
export async function openEmbedder(device: Device, width: number, weights: string | undefined): Promise<Extractor> {
  const extractor = await openExtractor(device, weights === undefined ? {} : { weights })
  const { label, columns } = extractor.network
  if (columns === width) return extractor
  await extractor[Symbol.asyncDispose]()
  throw new LatentkitError(
    `neighbours: the embeddings of ${label} have ${columns} numbers, wanted are ${width}; ${weights === undefined ? 'name the weights of the network that the model was trained with' : 'take another network, or set width'}`,
  )
}

/** Embeddings of all pictures of a dataset, in their order. */
export async function embedPictures(
  embedder: Extractor,
  { folder, pictures }: Dataset,
  signal?: AbortSignal,
): Promise<Neighbours> {
  const width = embedder.network.columns
  const data = new Float32Array(pictures.length * width)
  const batch = 16
  for (let i = 0; i < pictures.length; i += batch) {
    signal?.throwIfAborted()
    const images = await Promise.all(pictures.slice(i, i + batch).map(picture => readPicture(folder, picture)))
    data.set((await embedder.extract(images)).features.data, i * width)
  }
  return { data, width }
}

/**
 * A request with embeddings in place of the pictures that it retrieves from and by; by default from those that the
 * checkpoint keeps of its training.
 */
export async function withNeighbours(
  request: Request,
  config: ConditioningConfig | undefined,
  { device, checkpoint, signal }: { device: Device; checkpoint: Checkpoint; signal: AbortSignal | undefined },
): Promise<Request> {
  if (config?.neighbours === undefined) return request
  const from = request.neighbours as string | Neighbours | undefined
  const image = request.image as Image | undefined
  const kept = async () => {
    const stored = checkpoint.weights.get(indexName)
    return stored && { data: toFloat32(await checkpoint.read(indexName)), width: stored.shape[1]! }
  }
  const given = typeof from === 'string' ? undefined : (from ?? (await kept()))
  if (typeof from !== 'string' && image === undefined) return { ...request, neighbours: given }
  if (typeof from === 'string' && (await fileInfo(from))?.kind !== 'folder')
    throw new FileError(from, 'is no folder of pictures, which "neighbours" wants')
  await using embedder = await openEmbedder(device, config.neighbours.width, request.embedder as string | undefined)
  const query = image && ((await embedder.extract([flatten(image)])).features.data as Float32Array)
  const neighbours = typeof from === 'string' ? await embedPictures(embedder, await openFolder(from), signal) : given
  return { ...request, query, neighbours }
}
