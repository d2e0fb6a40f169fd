import { fileInfo } from '#platform'
import type { ConditioningConfig, Neighbours, Request } from '../conditioning/index.js'
import { fixedDraws, loadBatch, openFolder } from '../data/index.js'
import { type Image, imageToPixels, resizeImage } from '../image/index.js'
import { squeezenet } from '../perceptual/squeezenet.js'
import { openSqueezenet } from '../perceptual/weights.js'
import { FileError, LatentkitError } from '../platform/errors.js'
import { type Device, hostTensor } from '../runtime/index.js'
import { trace } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import { f32 } from '../tensor/tensor.js'
import type { Checkpoint } from '../weights/checkpoint.js'
import { toFloat32 } from '../weights/dtypes.js'

/** A network that tells pictures that are alike: what retrieval goes by. */
export interface ImageEmbedder extends AsyncDisposable {
  /** What checkpoints call it. */
  readonly name: string
  /** Side of the square pictures that it sees. */
  readonly size: number
  /** Numbers of an embedding. */
  readonly width: number
  /** Embeddings [batch, width] of pixels [batch, 3, size, size] in [-1, 1]. */
  embed(pixels: Float32Array, batch: number): Promise<Float32Array>
}

/** Where a checkpoint keeps the embeddings of its training pictures. */
export const indexName = 'neighbours.embeddings'

/** The means of the last layer of the SqueezeNet that comes with latentkit. */
export async function squeezenetEmbedder(device: Device): Promise<ImageEmbedder> {
  const [size, width] = [64, 512]
  const program = trace({ images: f32(-1, 3, size, size) }, (at, { images }) => ({
    embeddings: mean(squeezenet(at, images, [12])[0]!, { axes: [2, 3] }),
  }))
  const { tensors, close } = await openSqueezenet()
  const run = await device.compile(program, { weights: tensors }).finally(close)
  return {
    name: 'squeezenet1_1',
    size,
    width,
    async embed(pixels, batch) {
      const { embeddings } = await run({ images: hostTensor(pixels, [batch, 3, size, size]) })
      return embeddings!.data as Float32Array
    },
    [Symbol.asyncDispose]: () => run.dispose(),
  }
}

/** The embedder of a model; the only one at hand is the SqueezeNet, others are handed in. */
export async function embedderOf(
  { network, width }: NonNullable<ConditioningConfig['neighbours']>,
  device: Device,
): Promise<ImageEmbedder> {
  const embedder = await squeezenetEmbedder(device)
  if (embedder.name === network && embedder.width === width) return embedder
  await embedder[Symbol.asyncDispose]()
  throw new LatentkitError(
    `neighbours: embeddings of ${width} numbers by "${network}" are wanted; latentkit has ${embedder.name} with ${embedder.width}. Hand in such a network, or embeddings`,
  )
}

/** The embedding of one picture, brought to the network's size. */
export async function embedPicture(embedder: ImageEmbedder, picture: Image): Promise<Float32Array> {
  return embedder.embed(imageToPixels(resizeImage(picture, embedder.size, embedder.size)), 1)
}

/** Embeddings of all pictures of a dataset or of some of them, in their order. */
export async function embedFolder(
  embedder: ImageEmbedder,
  dataset: Parameters<typeof loadBatch>[0],
  { signal, told = () => {} }: { signal?: AbortSignal | undefined; told?: (done: number, total: number) => void } = {},
): Promise<Neighbours> {
  const { size, width } = embedder
  const draws = fixedDraws(dataset.pictures.map((_, i) => i))
  const data = new Float32Array(draws.length * width)
  const batch = 16
  for (let i = 0; i < draws.length; i += batch) {
    signal?.throwIfAborted()
    const some = draws.slice(i, i + batch)
    const transform = { size, crop: 'centre', flip: false, filter: 'bicubic' } as const
    const { pixels } = await loadBatch(dataset, some, { transform })
    data.set(await embedder.embed(pixels, some.length), i * width)
    told(i + some.length, draws.length)
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
  const kept = checkpoint.weights.get(indexName)
  const stored = async () => ({ data: toFloat32(await checkpoint.read(indexName)), width: kept!.shape[1]! })
  if (typeof from !== 'string' && image === undefined)
    return { ...request, neighbours: from ?? (kept && (await stored())) }
  await using embedder = await embedderOf(config.neighbours, device)
  const query = image && (await embedPicture(embedder, image))
  if (typeof from !== 'string') return { ...request, query, neighbours: from ?? (kept && (await stored())) }
  if ((await fileInfo(from))?.kind !== 'folder')
    throw new FileError(from, 'is no folder of pictures, which "neighbours" wants')
  return { ...request, query, neighbours: await embedFolder(embedder, await openFolder(from), { signal }) }
}
