import { latentChannels } from '../../autoencoder/config.js'
import type { Sight } from '../../conditioning/index.js'
import {
  type Address,
  everySample,
  type LoadedPicture,
  loadPicture,
  mapAhead,
  noChance,
  type Picture,
  type Problem,
  type Sample,
  type Transform,
} from '../../data/index.js'
import { flipHorizontal, type Image, type Size, writePixels } from '../../image/index.js'
import { factorOf } from '../../pipelines/model-config.js'
import { encodeImages } from '../../pipelines/networks.js'
import { joinBytes } from '../../platform/bytes.js'
import { FileError } from '../../platform/errors.js'
import { type Executable, hostTensor } from '../../runtime/index.js'
import { trace } from '../../tensor/program.js'
import { open, sizeOf } from '../../tensor/shape.js'
import { f32 } from '../../tensor/tensor.js'
import type { TrainEvent } from '../events.js'
import type { Keeping, LatentOptions } from './contract.js'
import { type LatentArray, type LatentRecord, type SeenRecord, writeLatents } from './files.js'
import { companionsOf, type Look, lookOf } from './sights.js'

const batch = 16

/** Means and log variances of images of one size. */
export interface Encoder {
  (images: readonly Image[]): Promise<{ mean: Float32Array; logvar: Float32Array }>
  dispose(): Promise<void>
}

/** The first stage, compiled for each size when the first picture of that wants it. */
export function lazyEncoder({ device, checkpoint, config }: LatentOptions): Encoder {
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
export async function* encodeFile(
  path: string,
  from: Address,
  options: LatentOptions & Keeping & { readonly transform: Transform },
  encode: Encoder,
): AsyncGenerator<TrainEvent> {
  const { source, config, flip, shapes, transform, damaged = 'skip', fileBytes = 2 ** 26, keeps, signal } = options
  const factor = factorOf(config)
  const records: LatentRecord[] = []
  const encoded: Encoded[] = []
  const skipped: Problem[] = []
  const waiting = new Map<string, { readonly image: Image; readonly record: number }[]>()
  let next: Address | undefined
  let length = 0
  const seen: Uint8Array[] = []
  let seenBytes = 0
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
  const also = companionsOf(keeps ?? [])
  const load = (sample: Sample) =>
    loadPicture({ sample, epoch: 0, number: 0, ...noChance }, { transform, shapes, also })
  const samples = everySample(source, from, signal)
  for await (const { value: sample, made } of mapAhead(samples, load, { atOnce: 8, ahead: 2 * batch })) {
    signal?.throwIfAborted()
    let loaded: LoadedPicture
    try {
      loaded = await made
    } catch (error) {
      if (!(error instanceof FileError) || damaged === 'refuse') throw error
      skipped.push({ place: sample.key, reason: error.message })
      continue
    }
    const { image } = loaded
    const kept = keeps && keptOf(lookOf(loaded), keeps, seenBytes)
    const keptBytes = kept?.bytes.reduce((sum, { length }) => sum + length, 0) ?? 0
    const shape = [latentChannels(config.first_stage_config), image.height / factor, image.width / factor] as const
    if (records.length > 0 && (length + sizeOf(shape)) * (flip ? 16 : 8) + seenBytes + keptBytes > fileBytes) {
      next = sample.address
      break
    }
    const key = `${image.width}x${image.height}`
    const some = waiting.get(key) ?? []
    waiting.set(key, some)
    some.push({ image, record: records.length })
    records.push({ at: sample.address, picture: pictureOf(sample), shape, begin: length, seen: kept?.record })
    if (kept) seen.push(...kept.bytes)
    seenBytes += keptBytes
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
  await writeLatents(path, {
    ...{ records, mean: joined('mean'), logvar: joined('logvar'), mirrored, next, skipped: left },
    seen: keeps && joinBytes(seen),
  })
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

/** What is kept of a picture of what conditions see, from the byte `begin` of all that is kept on. */
function keptOf({ whole, window, image, map, hint }: Look, keeps: readonly Sight[], begin: number) {
  const none = new Uint8Array()
  const bytes = [keeps.includes('pixels') ? image.data : none, map ?? none, hint?.data ?? none].map(
    ({ buffer, byteOffset, length }) => new Uint8Array(buffer, byteOffset, length),
  )
  const [pixels, classes, hints] = bytes.map(({ length }) => length) as [number, number, number]
  return { record: { whole, window, begin, pixels, map: classes, hint: hints } satisfies SeenRecord, bytes }
}

/** What a file of latents keeps of a sample. */
const pictureOf = ({ key, captions, label, boxes, split }: Sample): Picture => ({
  ...{ file: key, size: 0, captions },
  ...(label !== undefined && { label }),
  ...(boxes && { boxes }),
  ...(split !== undefined && { split }),
})
