import { cacheFolder, fileInfo, joinPath, openSource, readBytes, sha256 } from '#platform'
import { type Dataset, fixedDraws, loadBatch, type Transform } from '../data/index.js'
import { factorOf, type ModelConfig } from '../pipelines/model-config.js'
import { encodeImages } from '../pipelines/networks.js'
import { LatentkitError } from '../platform/errors.js'
import { type Device, hostTensor } from '../runtime/index.js'
import { trace } from '../tensor/program.js'
import { open } from '../tensor/shape.js'
import { f32 } from '../tensor/tensor.js'
import type { Checkpoint } from '../weights/checkpoint.js'
import { fromFloat32, toFloat32 } from '../weights/dtypes.js'
import { openSafetensors, writeSafetensors } from '../weights/safetensors.js'
import type { TrainEvent } from './events.js'

/** Posteriors of all pictures of a dataset under a first stage, mirrored ones after the others. */
export interface Latents {
  /** Of one picture's latents, [channels, height, width]. */
  readonly shape: readonly [number, number, number]
  /** [entries, channels, height, width] each; `deviations` are square roots of variances. */
  readonly means: Float32Array
  readonly deviations: Float32Array
  /** Where a picture's posterior begins in both. */
  offset(picture: number, mirrored: boolean): number
}

export interface LatentOptions {
  readonly device: Device
  readonly dataset: Dataset
  readonly checkpoint: Pick<Checkpoint, 'weights' | 'read'>
  readonly config: ModelConfig
  readonly size: number
  readonly flip: boolean
  /** Where latents are kept; latentkit's folder in the user's cache by default. */
  readonly folder?: string
  readonly signal?: AbortSignal | undefined
}

const batch = 16

/**
 * Posteriors of all pictures, computed once and kept in a file. Its name is a digest of the first stage's weights, of
 * the transform and of every picture's bytes, so that a file that no longer fits is never found.
 */
export async function* encodeDataset(options: LatentOptions): AsyncGenerator<TrainEvent, Latents> {
  const { dataset, config, size, flip, folder = joinPath(cacheFolder(), 'latents') } = options
  const transform: Transform = { size, crop: 'centre', flip, filter: 'bicubic' }
  const path = joinPath(folder, `${await digestOf(options, transform)}.safetensors`)
  const side = size / factorOf(config)
  const shape = [config.first_stage_config.embed_dim, side, side] as const
  const entries = dataset.pictures.length * (flip ? 2 : 1)
  if ((await fileInfo(path)) === undefined) {
    const { means, logvars } = yield* compute(options, transform, shape)
    const full = [entries, ...shape]
    await writeSafetensors(
      path,
      new Map([
        ['mean', fromFloat32(means, full)],
        ['logvar', fromFloat32(logvars, full)],
      ]),
    )
  }
  const file = await openSafetensors(await openSource(path))
  try {
    const means = toFloat32(await file.read('mean'))
    const deviations = toFloat32(await file.read('logvar')).map(logvar => Math.exp(logvar / 2))
    const length = shape.reduce((a, b) => a * b)
    if (means.length !== entries * length || deviations.length !== means.length) {
      throw new LatentkitError(`The latents in ${path} are not those of ${entries} pictures: delete the file`)
    }
    const offset = (picture: number, mirrored: boolean) =>
      (picture + (mirrored && flip ? dataset.pictures.length : 0)) * length
    return { shape, means, deviations, offset }
  } finally {
    await file.close()
  }
}

async function* compute(
  { device, dataset, checkpoint, config, flip, signal }: LatentOptions,
  transform: Transform,
  shape: readonly [number, number, number],
): AsyncGenerator<TrainEvent, { means: Float32Array; logvars: Float32Array }> {
  const { size } = transform
  const program = trace({ images: f32(open, 3, size, size) }, (at, { images }) => ({
    ...encodeImages(at, config, images),
  }))
  await using encode = await device.compile(program, { weights: checkpoint.weights })
  const length = shape.reduce((a, b) => a * b)
  const draws = fixedDraws(dataset.pictures.map((_, i) => i))
  const all = flip ? [...draws, ...draws.map(draw => ({ ...draw, flip: 0 }))] : draws
  const means = new Float32Array(all.length * length)
  const logvars = new Float32Array(all.length * length)
  for (let i = 0; i < all.length; i += batch) {
    signal?.throwIfAborted()
    const some = all.slice(i, i + batch)
    const { pixels } = await loadBatch(dataset, some, { transform })
    const { mean, logvar } = await encode({ images: hostTensor(pixels, [some.length, 3, size, size]) })
    means.set(mean!.data as Float32Array, i * length)
    logvars.set(logvar!.data as Float32Array, i * length)
    yield { type: 'prepare', what: 'encoding pictures', step: i + some.length, total: all.length }
  }
  return { means, logvars }
}

async function digestOf({ dataset, checkpoint, config }: LatentOptions, transform: Transform): Promise<string> {
  const parts = [JSON.stringify([config.first_stage_config, transform])]
  for (const name of [...checkpoint.weights.keys()].filter(name => name.startsWith('first_stage_model.')).sort()) {
    parts.push(name, await sha256((await checkpoint.read(name)).bytes))
  }
  for (const { file } of dataset.pictures)
    parts.push(file, await sha256(await readBytes(joinPath(dataset.folder, file))))
  return sha256(parts.join('\n'))
}

/**
 * What brings each channel of the latents of some pictures to mean 0 and deviation 1: over their drawn latents, whose
 * variance is that of the means and the mean of the variances.
 */
export function channelFactors(
  { means, deviations, shape: [channels, height, width], offset }: Latents,
  pictures: readonly number[],
): { scale_factor: number[]; shift_factor: number[] } {
  const area = height * width
  const count = pictures.length * area
  const scale_factor: number[] = []
  const shift_factor: number[] = []
  for (let c = 0; c < channels; c++) {
    let sum = 0
    let squares = 0
    for (const picture of pictures) {
      const start = offset(picture, false) + c * area
      for (let i = start; i < start + area; i++) {
        sum += means[i]!
        squares += means[i]! ** 2 + deviations[i]! ** 2
      }
    }
    const mean = sum / count
    shift_factor.push(mean)
    scale_factor.push(1 / Math.sqrt(squares / count - mean ** 2))
  }
  return { scale_factor, shift_factor }
}
