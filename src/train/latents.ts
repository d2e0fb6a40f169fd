import { cacheFolder, fileInfo, joinPath, readText, sha256, writeFileAtomic } from '#platform'
import {
  type Address,
  contentDigest,
  type Dataset,
  everySample,
  loadPicture,
  mapAhead,
  noChance,
  type Picture,
  type Problem,
  type Sample,
  type Source,
  type Transform,
} from '../data/index.js'
import { flipHorizontal, type Image, type Size, writePixels } from '../image/index.js'
import { factorOf, type ModelConfig } from '../pipelines/model-config.js'
import { encodeImages } from '../pipelines/networks.js'
import { FileError } from '../platform/errors.js'
import { type Device, type Executable, hostTensor } from '../runtime/index.js'
import { trace } from '../tensor/program.js'
import { open, sizeOf } from '../tensor/shape.js'
import { f32 } from '../tensor/tensor.js'
import type { Checkpoint } from '../weights/checkpoint.js'
import type { TrainEvent } from './events.js'
import { describeLatents, type LatentArray, type LatentRecord, latentReader, writeLatents } from './latent-files.js'

/** A picture's posterior that is asked for. */
export interface LatentDraw {
  /** Position in the data set. */
  readonly index: number
  /** Mirrored if below 0.5, as pictures are. */
  readonly flip: number
}

export type LatentShape = readonly [channels: number, height: number, width: number]

/** Posteriors of all pictures of a data set under a first stage, in files that are read where they are wanted. */
export interface Latents {
  /** Of most pictures' latents, [channels, height, width]; of all unless they were sorted into buckets. */
  readonly shape: LatentShape
  shapeOf(index: number): LatentShape
  /** The pictures that have latents, in the order of their positions. */
  readonly dataset: Dataset
  /** Posteriors of pictures of one shape, [draws, channels, height, width] each; `deviations` are roots of variances. */
  read(draws: readonly LatentDraw[]): Promise<Posteriors>
  close(): Promise<void>
}

export interface Posteriors {
  readonly shape: LatentShape
  readonly means: Float32Array
  readonly deviations: Float32Array
}

export interface LatentOptions {
  readonly device: Device
  readonly source: Source
  readonly checkpoint: Pick<Checkpoint, 'weights' | 'read'>
  readonly config: ModelConfig
  readonly size: number
  readonly flip: boolean
  /** Shapes that pictures are sorted into; the square of `size` by default. */
  readonly shapes?: readonly Size[] | undefined
  /** Whether damaged pictures end it; by default they are left out and counted. */
  readonly damaged?: 'skip' | 'refuse'
  /** Where latents are kept; latentkit's folder in the user's cache by default. */
  readonly folder?: string
  /** Bytes of latents in a file. */
  readonly fileBytes?: number
  readonly signal?: AbortSignal | undefined
}

const batch = 16

/**
 * Posteriors of all pictures, computed once and kept in files of bounded size, one of which is in memory at a time. Their
 * folder's name is a digest of the first stage's weights, of the transform and of every byte of the source, so that
 * latents that no longer fit are never found; what an interrupted run had finished is used by the next.
 *
 * Throws FileError where the disk is full (the finished files stay), and where a picture is damaged and that is refused.
 */
export async function* encodeSource(options: LatentOptions): AsyncGenerator<TrainEvent, Latents> {
  const { source, size, flip, folder = joinPath(cacheFolder(), 'latents') } = options
  const transform: Transform = { size, crop: 'centre', flip, filter: 'bicubic' }
  const own = joinPath(folder, await digestOf(options, transform, folder))
  const encoder = lazyEncoder(options)
  const paths: string[] = []
  const places: { readonly chunk: number; readonly begin: number; readonly shape: LatentShape }[] = []
  const pictures: Picture[] = []
  const skipped: Problem[] = []
  try {
    for (let next: Address | undefined = [0, 0]; next; ) {
      const path = joinPath(own, `${String(paths.length).padStart(5, '0')}.safetensors`)
      if ((await fileInfo(path)) === undefined) yield* encodeFile(path, next, { ...options, transform }, encoder)
      const chunk = await describeLatents(path)
      for (const { at, picture, shape, begin } of chunk.records) {
        places.push({ chunk: paths.length, begin, shape })
        // Captions of a folder may have changed since; they are no part of latents.
        pictures.push(source.pictures?.[at[0]] ?? picture)
      }
      skipped.push(...chunk.skipped)
      paths.push(path)
      next = chunk.next
    }
  } finally {
    await encoder.dispose()
  }
  for (const problem of skipped) source.skipped.add(problem)
  if (pictures.length === 0) throw new FileError(source.name, `holds no picture to encode${reasons(skipped)}`)
  const reader = latentReader()
  const labels = source.labels.length > 0 ? source.labels : labelsOf(pictures)
  return {
    shape: commonest(places),
    shapeOf: index => places[index]!.shape,
    dataset: { folder: source.name, pictures, labels, brokenCaptions: [], skipped: source.skipped.examples },
    close: reader.close,
    async read(draws) {
      const { shape } = places[draws[0]!.index]!
      const length = sizeOf(shape)
      const other = draws.find(({ index }) => String(places[index]!.shape) !== String(shape))
      if (other) throw new RangeError(`Cannot read latents [${places[other.index]!.shape}] with others [${shape}]`)
      const means = new Float32Array(draws.length * length)
      const deviations = new Float32Array(draws.length * length)
      const place = ({ index, flip: chance }: LatentDraw) => ({
        ...places[index]!,
        count: length,
        mirrored: flip && chance < 0.5,
      })
      await Promise.all(
        runs(draws.map(place)).map(async ({ first, begin, count, chunk, mirrored }) => {
          const get = (array: 'mean' | 'logvar') =>
            reader.numbers(paths[chunk]!, mirrored ? (`${array}_mirrored` satisfies LatentArray) : array, begin, count)
          means.set(await get('mean'), first)
          deviations.set(
            (await get('logvar')).map(logvar => Math.exp(logvar / 2)),
            first,
          )
        }),
      )
      return { means, deviations, shape }
    },
  }
}

interface Stretch {
  readonly chunk: number
  readonly begin: number
  readonly count: number
  readonly mirrored: boolean
}

/** Neighbours in one file are read at once; `first` is where they go. */
function runs(places: readonly Stretch[]) {
  const found: (Stretch & { first: number; count: number })[] = []
  let first = 0
  for (const place of places) {
    const last = found.at(-1)
    const follows =
      last && last.chunk === place.chunk && last.mirrored === place.mirrored && last.begin + last.count === place.begin
    if (follows) last.count += place.count
    else found.push({ ...place, first })
    first += place.count
  }
  return found
}

/** The shape that most have. */
function commonest(places: readonly { readonly shape: LatentShape }[]): LatentShape {
  const counts = new Map<string, { shape: LatentShape; count: number }>()
  for (const { shape } of places) {
    const known = counts.get(String(shape)) ?? { shape, count: 0 }
    known.count++
    counts.set(String(shape), known)
  }
  return [...counts.values()].reduce((best, one) => (one.count > best.count ? one : best)).shape
}

const reasons = (problems: readonly Problem[]) =>
  problems.length === 0
    ? ''
    : `; ${problems.length} are damaged: ${problems
        .slice(0, 5)
        .map(({ place, reason }) => `${place} ${reason}`)
        .join('; ')}`

const labelsOf = (pictures: readonly Picture[]) => [...new Set(pictures.flatMap(({ label }) => label ?? []))].sort()

interface Encoder {
  (images: readonly Image[]): Promise<{ mean: Float32Array; logvar: Float32Array }>
  dispose(): Promise<void>
}

/** The first stage, compiled for each size when the first picture of that wants it. */
function lazyEncoder({ device, checkpoint, config }: LatentOptions): Encoder {
  const executables = new Map<string, Promise<Executable>>()
  const compile = ({ width, height }: Size) => {
    const program = trace({ images: f32(open, 3, height, width) }, (at, { images }) => ({
      ...encodeImages(at, config, images),
    }))
    return device.compile(program, { weights: checkpoint.weights })
  }
  const encode = async (images: readonly Image[]) => {
    const { width, height } = images[0]!
    const key = `${width}x${height}`
    const executable = executables.get(key) ?? compile(images[0]!)
    executables.set(key, executable)
    const pixels = new Float32Array(images.length * 3 * width * height)
    for (const [i, image] of images.entries()) writePixels(image, pixels, i * 3 * width * height)
    const { mean, logvar } = await (await executable)({ images: hostTensor(pixels, [images.length, 3, height, width]) })
    return { mean: mean!.data as Float32Array, logvar: logvar!.data as Float32Array }
  }
  const dispose = async () => {
    for (const executable of executables.values()) await (await executable).dispose()
  }
  return Object.assign(encode, { dispose })
}

/** Latents of one picture. */
type Encoded = Readonly<Record<LatentArray, Float32Array>>

/** Encodes pictures from an address on until a file is full, and writes it. */
async function* encodeFile(
  path: string,
  from: Address,
  options: LatentOptions & { readonly transform: Transform },
  encode: Encoder,
): AsyncGenerator<TrainEvent> {
  const { source, config, flip, shapes, transform, damaged = 'skip', fileBytes = 2 ** 26, signal } = options
  const factor = factorOf(config)
  const records: LatentRecord[] = []
  const encoded: Encoded[] = []
  const skipped: Problem[] = []
  const waiting = new Map<string, { readonly image: Image; readonly record: number }[]>()
  let next: Address | undefined
  let length = 0
  const flush = async (key: string) => {
    const some = waiting.get(key)!
    waiting.delete(key)
    for (const [i, latents] of (
      await encodeBoth(
        some.map(({ image }) => image),
        flip,
        encode,
      )
    ).entries())
      encoded[some[i]!.record] = latents
  }
  const load = (sample: Sample) => loadPicture({ sample, epoch: 0, number: 0, ...noChance }, { transform, shapes })
  const samples = everySample(source, from, signal)
  for await (const { value: sample, made } of mapAhead(samples, load, { atOnce: 8, ahead: 2 * batch })) {
    signal?.throwIfAborted()
    let image: Image
    try {
      image = (await made).image
    } catch (error) {
      if (!(error instanceof FileError) || damaged === 'refuse') throw error
      skipped.push({ place: sample.key, reason: error.message })
      continue
    }
    const shape = [config.first_stage_config.embed_dim, image.height / factor, image.width / factor] as const
    if (records.length > 0 && (length + sizeOf(shape)) * (flip ? 16 : 8) > fileBytes) {
      next = sample.address
      break
    }
    const key = `${image.width}x${image.height}`
    const some = waiting.get(key) ?? []
    waiting.set(key, some)
    some.push({ image, record: records.length })
    records.push({ at: sample.address, picture: pictureOf(sample), shape, begin: length })
    length += sizeOf(shape)
    if (some.length === batch) {
      await flush(key)
      yield { type: 'prepare', what: 'encoding pictures', step: sample.address[0] + 1, total: source.parts }
    }
  }
  for (const key of [...waiting.keys()]) await flush(key)
  const joined = (array: LatentArray) => {
    const out = new Float32Array(length)
    for (const [i, { begin }] of records.entries()) out.set(encoded[i]![array], begin)
    return out
  }
  const mirrored = flip ? { mean: joined('mean_mirrored'), logvar: joined('logvar_mirrored') } : undefined
  // Whoever finds the file hears of what its shards lost, too.
  const left = [...skipped, ...source.skipped.examples]
  await writeLatents(path, { records, mean: joined('mean'), logvar: joined('logvar'), mirrored, next, skipped: left })
  yield { type: 'prepare', what: 'encoding pictures', step: next ? next[0] : source.parts, total: source.parts }
}

async function encodeBoth(images: readonly Image[], flip: boolean, encode: Encoder): Promise<Encoded[]> {
  const { mean, logvar } = await encode(images)
  const mirrored = flip ? await encode(images.map(flipHorizontal)) : { mean, logvar }
  const arrays = { mean, logvar, mean_mirrored: mirrored.mean, logvar_mirrored: mirrored.logvar }
  const length = mean.length / images.length
  const row = (array: Float32Array, i: number) => array.subarray(i * length, (i + 1) * length)
  return images.map((_, i) => ({
    mean: row(arrays.mean, i),
    logvar: row(arrays.logvar, i),
    mean_mirrored: row(arrays.mean_mirrored, i),
    logvar_mirrored: row(arrays.logvar_mirrored, i),
  }))
}

/** What a file of latents keeps of a sample. */
const pictureOf = ({ key, captions, label, boxes, split }: Sample): Picture => ({
  ...{ file: key, size: 0, captions },
  ...(label !== undefined && { label }),
  ...(boxes && { boxes }),
  ...(split !== undefined && { split }),
})

async function digestOf(
  { source, checkpoint, config, shapes, signal }: LatentOptions,
  transform: Transform,
  folder: string,
): Promise<string> {
  const memory = joinPath(folder, 'digests.json')
  const before = await readText(memory)
    .then(JSON.parse)
    .catch(() => [])
  const known = new Map<string, string>(Array.isArray(before) ? before : [])
  const count = known.size
  const parts = [
    JSON.stringify([config.first_stage_config, transform, shapes]),
    await contentDigest(source, known, signal),
  ]
  if (known.size > count) await writeFileAtomic(memory, JSON.stringify([...known]))
  for (const name of [...checkpoint.weights.keys()].filter(name => name.startsWith('first_stage_model.')).sort()) {
    parts.push(name, await sha256((await checkpoint.read(name)).bytes))
  }
  return sha256(parts.join('\n'))
}

/** Pictures whose latents are read at once. */
const several = 256

/**
 * What brings each channel of the latents of some pictures to mean 0 and deviation 1: over their drawn latents, whose
 * variance is that of the means and the mean of the variances.
 */
export async function channelFactors(
  latents: Latents,
  pictures: readonly number[],
): Promise<{ scale_factor: number[]; shift_factor: number[] }> {
  const [channels] = latents.shape
  const sums = new Float64Array(channels)
  const squares = new Float64Array(channels)
  let count = 0
  const byShape = new Map<string, number[]>()
  for (const index of pictures) {
    const key = String(latents.shapeOf(index))
    const same = byShape.get(key)
    if (same) same.push(index)
    else byShape.set(key, [index])
  }
  for (const same of byShape.values()) {
    for (let at = 0; at < same.length; at += several) {
      const some = same.slice(at, at + several).map(index => ({ index, flip: 1 }))
      const { means, deviations, shape } = await latents.read(some)
      const area = shape[1] * shape[2]
      count += some.length * area
      for (let i = 0; i < means.length; i++) {
        const c = Math.floor(i / area) % channels
        sums[c]! += means[i]!
        squares[c]! += means[i]! ** 2 + deviations[i]! ** 2
      }
    }
  }
  const shift_factor = Array.from(sums, sum => sum / count)
  const scale_factor = Array.from(squares, (sum, c) => 1 / Math.sqrt(sum / count - shift_factor[c]! ** 2))
  return { scale_factor, shift_factor }
}
