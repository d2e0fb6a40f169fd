import { fileInfo } from '#platform'
import type { ConditioningConfig, Neighbours, Request, Retrieved } from '../conditioning/index.js'
import { openFolder, readPicture } from '../data/index.js'
import { flatten, type Image } from '../image/index.js'
import { type Extractor, openClip, openExtractor } from '../metrics/index.js'
import { FileError, LatentkitError } from '../platform/errors.js'
import type { Device } from '../runtime/index.js'
import type { Checkpoint } from '../weights/checkpoint.js'
import { toFloat32 } from '../weights/dtypes.js'
import { clipMerges } from './loading/model-file.js'

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

/** Embeddings of so many pictures, in their order. */
export async function embedPictures(
  embedder: Extractor,
  count: number,
  pictureAt: (index: number) => Promise<Image>,
  signal?: AbortSignal,
): Promise<Neighbours> {
  const width = embedder.network.columns
  const data = new Float32Array(count * width)
  const batch = 16
  for (let i = 0; i < count; i += batch) {
    signal?.throwIfAborted()
    const some = Array.from({ length: Math.min(batch, count - i) }, (_, k) => pictureAt(i + k))
    const images = await Promise.all(some)
    data.set((await embedder.extract(images)).features.data, i * width)
  }
  return { data, width }
}

async function embedFolder(embedder: Extractor, from: string, signal: AbortSignal | undefined): Promise<Neighbours> {
  const { folder, pictures } = await openFolder(from)
  return embedPictures(embedder, pictures.length, i => readPicture(folder, pictures[i]!), signal)
}

/**
 * A request with embeddings in place of its texts and the pictures that it retrieves from and by; by default from those
 * that the checkpoint keeps of its training.
 */
export async function withNeighbours(
  request: Request,
  config: ConditioningConfig | undefined,
  { device, checkpoint, signal }: { device: Device; checkpoint: Checkpoint; signal: AbortSignal | undefined },
): Promise<Request> {
  if (config?.neighbours === undefined) return request
  const texts = config.clip_text || config.text ? {} : await embeddedTexts(request, device)
  const from = request.neighbours as string | Neighbours | undefined
  const image = request.image as Image | undefined
  const kept = async () => {
    const stored = checkpoint.weights.get(indexName)
    return stored && { data: toFloat32(await checkpoint.read(indexName)), width: stored.shape[1]! }
  }
  const given = typeof from === 'string' ? undefined : (from ?? (await kept()))
  if (typeof from !== 'string' && image === undefined) return { ...request, ...texts, neighbours: given }
  if (typeof from === 'string' && (await fileInfo(from))?.kind !== 'folder')
    throw new FileError(from, 'is no folder of pictures, which "neighbours" wants')
  await using embedder = await openEmbedder(device, config.neighbours.width, request.embedder as string | undefined)
  const query = image && ((await embedder.extract([flatten(image)])).features.data as Float32Array)
  const neighbours = typeof from === 'string' ? await embedFolder(embedder, from, signal) : given
  return { ...request, ...texts, query, neighbours }
}

/** Prompt and negative prompt by the text half of the CLIP whose image half tells what is alike, as far as there are any. */
async function embeddedTexts(
  { prompt, negativePrompt, embedder }: Request,
  device: Device,
): Promise<Pick<Retrieved, 'told' | 'toldNegative'>> {
  if (prompt === '' && negativePrompt === '') return {}
  if (prompt === '' || embedder === undefined) {
    throw new LatentkitError(
      prompt === ''
        ? 'generate: this model is led by a negative prompt only beside a prompt; give one, or leave the negative one out'
        : 'generate: this model reads a prompt by the CLIP that it was trained with; name its weights as "embedder", or leave the prompt out',
    )
  }
  await using clip = await openClip(device, { weights: embedder as string, vocabulary: clipMerges() })
  const [told, toldNegative] = [
    await clip.read([prompt]),
    negativePrompt === '' ? undefined : await clip.read([negativePrompt]),
  ]
  return { told, toldNegative }
}
