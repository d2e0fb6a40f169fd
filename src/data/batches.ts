import { writePixels } from '../image/index.js'
import { type Dataset, readPicture } from './dataset.js'
import type { Draw, DrawState, Draws } from './draws.js'
import { type PictureCache, pictureCache } from './picture-cache.js'
import { cropAndFlip, resizeShorterSide, type Transform } from './transform.js'

/** Pictures for one training step. */
export interface Batch {
  /** [batch, 3, size, size] in [-1, 1]. */
  readonly pixels: Float32Array
  /** One caption each, '' where a picture has none. */
  readonly captions: readonly string[]
  readonly draws: readonly Draw[]
}

/** A batch with the state to go on from after it. */
export interface TrainingBatch extends Batch {
  readonly state: DrawState
}

export interface LoadOptions {
  readonly transform: Transform
  readonly cache?: PictureCache
}

/** The caption that chance picked for a picture, '' where it has none. */
export function captionOf({ pictures }: Pick<Dataset, 'pictures'>, { index, caption }: Draw): string {
  const { captions } = pictures[index]!
  return captions[Math.floor(caption * captions.length)] ?? ''
}

/** Reads the pictures of some draws; FileError naming the file where one is damaged. */
export async function loadBatch(dataset: Dataset, draws: readonly Draw[], options: LoadOptions): Promise<Batch> {
  const { transform, cache } = options
  const area = 3 * transform.size ** 2
  const pixels = new Float32Array(draws.length * area)
  await Promise.all(
    draws.map(async (draw, i) => {
      const picture = dataset.pictures[draw.index]!
      const make = async () => resizeShorterSide(await readPicture(dataset.folder, picture), transform)
      const image = await (cache
        ? cache.get(`${transform.resize ?? transform.size} ${transform.filter} ${picture.file}`, make)
        : make())
      writePixels(cropAndFlip(image, transform, draw), pixels, i * area)
    }),
  )
  return { pixels, captions: draws.map(draw => captionOf(dataset, draw)), draws }
}

/**
 * Batches without end. The next ones are read while the caller computes; each carries the state to go on from after it,
 * which does not depend on how many were read ahead.
 *
 * @example for await (const { pixels, captions, state } of trainingBatches(emoji, draws, { transform, batch: 32 })) ...
 */
export async function* trainingBatches(
  dataset: Dataset,
  draws: Draws,
  options: LoadOptions & { readonly batch: number; readonly prefetch?: number; readonly signal?: AbortSignal },
): AsyncGenerator<TrainingBatch, never> {
  const { batch, prefetch = 2, signal, transform, cache = pictureCache() } = options
  const start = async (): Promise<TrainingBatch> => {
    const drawn = draws.next(batch)
    const state = draws.state()
    return { ...(await loadBatch(dataset, drawn, { transform, cache })), state }
  }
  const queue: Promise<TrainingBatch>[] = []
  for (;;) {
    signal?.throwIfAborted()
    while (queue.length <= prefetch) {
      const next = start()
      // Told to the caller when its turn comes, if it ever does.
      next.catch(() => {})
      queue.push(next)
    }
    yield await queue.shift()!
  }
}
