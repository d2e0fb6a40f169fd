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
import { flipHorizontal, type Image, writePixels } from '../image/index.js'
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

/** Posteriors of all pictures of a data set under a first stage, in files that are read where they are wanted. */
export interface Latents {
  /** Of one picture's latents, [channels, height, width]. */
  readonly shape: readonly [number, number, number]
  /** The pictures that have latents, in the order of their positions. */
  readonly dataset: Dataset
  /** Posteriors, [draws, channels, height, width] each; `deviations` are square roots of variances. */
  read(draws: readonly LatentDraw[]): Promise<Posteriors>
  close(): Promise<void>
}

export interface Posteriors {
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
  const { source, config, size, flip, folder = joinPath(cacheFolder(), 'latents') } = options
  const transform: Transform = { size, crop: 'centre', flip, filter: 'bicubic' }
  const own = joinPath(folder, await digestOf(options, transform, folder))
  const side = size / factorOf(config)
  const shape = [config.first_stage_config.embed_dim, side, side] as const
  const encoder = lazyEncoder(options)
  const paths: string[] = []
  const rows: { readonly chunk: number; readonly row: number }[] = []
  const pictures: Picture[] = []
  const skipped: Problem[] = []
  try {
    for (let next: Address | undefined = [0, 0]; next; ) {
      const path = joinPath(own, `${String(paths.length).padStart(5, '0')}.safetensors`)
      if ((await fileInfo(path)) === undefined) yield* encodeFile(path, next, { ...options, transform, shape }, encoder)
      const chunk = await describeLatents(path)
      for (const [row, { at, picture }] of chunk.records.entries()) {
        rows.push({ chunk: paths.length, row })
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
  const reader = latentReader(sizeOf(shape))
  const labels = source.labels.length > 0 ? source.labels : labelsOf(pictures)
  return {
    shape,
    dataset: { folder: source.name, pictures, labels, brokenCaptions: [], skipped: source.skipped.examples },
    close: reader.close,
    async read(draws) {
      const length = sizeOf(shape)
      const means = new Float32Array(draws.length * length)
      const deviations = new Float32Array(draws.length * length)
      const place = ({ index, flip: chance }: LatentDraw) => ({ ...rows[index]!, mirrored: flip && chance < 0.5 })
      await Promise.all(
        runs(draws.map(place)).map(async ({ first, count, chunk, row, mirrored }) => {
          const get = (array: 'mean' | 'logvar') =>
            reader.rows(paths[chunk]!, mirrored ? (`${array}_mirrored` satisfies LatentArray) : array, row, count)
          means.set(await get('mean'), first * length)
          deviations.set(
            (await get('logvar')).map(logvar => Math.exp(logvar / 2)),
            first * length,
          )
        }),
      )
      return { means, deviations }
    },
  }
}

/** Neighbours in one file are read at once. */
function runs(places: readonly { chunk: number; row: number; mirrored: boolean }[]) {
  const found: { first: number; count: number; chunk: number; row: number; mirrored: boolean }[] = []
  for (const [first, place] of places.entries()) {
    const last = found.at(-1)
    const follows =
      last && last.chunk === place.chunk && last.mirrored === place.mirrored && last.row + last.count === place.row
    if (follows) last.count++
    else found.push({ first, count: 1, ...place })
  }
  return found
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
  (pixels: Float32Array, count: number): Promise<{ mean: Float32Array; logvar: Float32Array }>
  dispose(): Promise<void>
}

/** The first stage, compiled when the first picture wants it. */
function lazyEncoder({ device, checkpoint, config, size }: LatentOptions): Encoder {
  let executable: Promise<Executable> | undefined
  const compile = () => {
    const program = trace({ images: f32(open, 3, size, size) }, (at, { images }) => ({
      ...encodeImages(at, config, images),
    }))
    return device.compile(program, { weights: checkpoint.weights })
  }
  const encode = async (pixels: Float32Array, count: number) => {
    executable ??= compile()
    const { mean, logvar } = await (await executable)({ images: hostTensor(pixels, [count, 3, size, size]) })
    return { mean: mean!.data as Float32Array, logvar: logvar!.data as Float32Array }
  }
  return Object.assign(encode, { dispose: async () => (await executable)?.dispose() })
}

interface FileOptions extends LatentOptions {
  readonly transform: Transform
  readonly shape: readonly [number, number, number]
}

/** Encodes pictures from an address on until a file is full, and writes it. */
async function* encodeFile(
  path: string,
  from: Address,
  options: FileOptions,
  encode: Encoder,
): AsyncGenerator<TrainEvent> {
  const { source, flip, shape, transform, damaged = 'skip', fileBytes = 2 ** 26, signal } = options
  const length = sizeOf(shape)
  const most = Math.max(1, Math.floor(fileBytes / (8 * length * (flip ? 2 : 1))))
  const records: LatentRecord[] = []
  const parts: Encoded[] = []
  const skipped: Problem[] = []
  const waiting: Image[] = []
  let next: Address | undefined
  const flush = async () => {
    const images = waiting.splice(0)
    if (images.length > 0) parts.push(await encodeBoth(images, flip, encode))
  }
  const load = (sample: Sample) => loadPicture({ sample, epoch: 0, number: 0, ...noChance }, { transform })
  const samples = everySample(source, from, signal)
  for await (const { value: sample, made } of mapAhead(samples, load, { atOnce: 8, ahead: 2 * batch })) {
    signal?.throwIfAborted()
    if (records.length === most) {
      next = sample.address
      break
    }
    try {
      waiting.push((await made).image)
      records.push({ at: sample.address, picture: pictureOf(sample) })
    } catch (error) {
      if (!(error instanceof FileError) || damaged === 'refuse') throw error
      skipped.push({ place: sample.key, reason: error.message })
    }
    if (waiting.length === batch) {
      await flush()
      yield { type: 'prepare', what: 'encoding pictures', step: sample.address[0] + 1, total: source.parts }
    }
  }
  await flush()
  const joined = (of: (part: Encoded) => Float32Array) => {
    const out = new Float32Array(records.length * length)
    let at = 0
    for (const part of parts) {
      out.set(of(part), at)
      at += of(part).length
    }
    return out
  }
  const mirrored = flip
    ? { mean: joined(part => part.mirrored!.mean), logvar: joined(part => part.mirrored!.logvar) }
    : undefined
  const chunk = { mean: joined(part => part.mean), logvar: joined(part => part.logvar), mirrored }
  // Whoever finds the file hears of what its shards lost, too.
  await writeLatents(path, { records, ...chunk, next, skipped: [...skipped, ...source.skipped.examples] }, shape)
  yield { type: 'prepare', what: 'encoding pictures', step: next ? next[0] : source.parts, total: source.parts }
}

interface Encoded {
  readonly mean: Float32Array
  readonly logvar: Float32Array
  readonly mirrored?: { readonly mean: Float32Array; readonly logvar: Float32Array } | undefined
}

async function encodeBoth(images: readonly Image[], flip: boolean, encode: Encoder): Promise<Encoded> {
  const pixelsOf = (pictures: readonly Image[]) => {
    const area = 3 * pictures[0]!.width * pictures[0]!.height
    const pixels = new Float32Array(pictures.length * area)
    for (const [i, picture] of pictures.entries()) writePixels(picture, pixels, i * area)
    return pixels
  }
  const plain = await encode(pixelsOf(images), images.length)
  if (!flip) return plain
  return { ...plain, mirrored: await encode(pixelsOf(images.map(flipHorizontal)), images.length) }
}

/** What a file of latents keeps of a sample. */
const pictureOf = ({ key, captions, label, boxes, split }: Sample): Picture => ({
  ...{ file: key, size: 0, captions },
  ...(label !== undefined && { label }),
  ...(boxes && { boxes }),
  ...(split !== undefined && { split }),
})

async function digestOf(
  { source, checkpoint, config, signal }: LatentOptions,
  transform: Transform,
  folder: string,
): Promise<string> {
  const memory = joinPath(folder, 'digests.json')
  const before = await readText(memory)
    .then(JSON.parse)
    .catch(() => [])
  const known = new Map<string, string>(Array.isArray(before) ? before : [])
  const count = known.size
  const parts = [JSON.stringify([config.first_stage_config, transform]), await contentDigest(source, known, signal)]
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
  const [channels, height, width] = latents.shape
  const area = height * width
  const sums = new Float64Array(channels)
  const squares = new Float64Array(channels)
  for (let at = 0; at < pictures.length; at += several) {
    const some = pictures.slice(at, at + several).map(index => ({ index, flip: 1 }))
    const { means, deviations } = await latents.read(some)
    for (let i = 0; i < means.length; i++) {
      const c = Math.floor(i / area) % channels
      sums[c]! += means[i]!
      squares[c]! += means[i]! ** 2 + deviations[i]! ** 2
    }
  }
  const count = pictures.length * area
  const shift_factor = Array.from(sums, sum => sum / count)
  const scale_factor = Array.from(squares, (sum, c) => 1 / Math.sqrt(sum / count - shift_factor[c]! ** 2))
  return { scale_factor, shift_factor }
}
