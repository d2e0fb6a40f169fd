import type { ConditioningConfig, Neighbours } from '../../conditioning/index.js'
import { embedPictures, indexName, openEmbedder } from '../../pipelines/retrieval.js'
import type { Device } from '../../runtime/index.js'
import { fromFloat32 } from '../../weights/dtypes.js'
import type { TensorToWrite } from '../../weights/safetensors.js'
import type { TrainEvent } from '../events.js'
import type { Latents } from '../latents/contract.js'
import type { DiffusionRecipe } from './recipe.js'

interface Looked {
  readonly device: Device
  readonly latents: Pick<Latents, 'dataset' | 'image'>
  readonly train: readonly number[]
  readonly signal: AbortSignal | undefined
}

/** Embeddings of all pictures as they are trained on, where the model retrieves, and whose they are; those that are held out are not to be found. */
export async function* retrieved(
  { conditioning: given }: DiffusionRecipe,
  conditioning: ConditioningConfig,
  { device, latents, train, signal }: Looked,
): AsyncGenerator<TrainEvent, { conditioning: ConditioningConfig; neighbours?: Neighbours }> {
  if (conditioning.neighbours === undefined) return { conditioning }
  await using embedder = await openEmbedder(device, conditioning.neighbours.width, given?.neighbours?.weights)
  const total = latents.dataset.pictures.length
  yield { type: 'prepare', what: 'embedding pictures', step: 0, total }
  const index = await embedPictures(embedder, total, latents.image, signal)
  yield { type: 'prepare', what: 'embedding pictures', step: total, total }
  const neighbours = { ...conditioning.neighbours, network: embedder.network.label }
  return { conditioning: { ...conditioning, neighbours }, neighbours: { ...index, rows: train } }
}

/** The embeddings that a checkpoint keeps, evenly chosen where there are too many. */
export function keptNeighbours(
  { neighbours }: ConditioningConfig,
  index: Neighbours | undefined,
): [string, TensorToWrite][] {
  if (neighbours === undefined || index === undefined) return []
  const { width, data, rows = [] } = index
  const count = Math.min(neighbours.keep, rows.length)
  const kept = new Float32Array(count * width)
  for (let i = 0; i < count; i++) {
    const row = rows[Math.floor((i * rows.length) / count)]!
    kept.set(data.subarray(row * width, (row + 1) * width), i * width)
  }
  return [[indexName, fromFloat32(kept, [count, width])]]
}
