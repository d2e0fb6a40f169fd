import { cacheFolder, fileInfo, joinPath, readText, sha256, writeFileAtomic } from '#platform'
import { type Address, contentDigest, type Picture, type Problem, type Transform } from '../../data/index.js'
import { factorOf } from '../../pipelines/model-config.js'
import { FileError } from '../../platform/errors.js'
import { sizeOf } from '../../tensor/shape.js'
import type { TrainEvent } from '../events.js'
import type { Keeping, LatentDraw, LatentOptions, LatentShape, Latents } from './contract.js'
import { encodeFile, lazyEncoder } from './encoding.js'
import { describeLatents, type LatentArray, type LatentReader, type LatentRecord, latentReader } from './files.js'
import { freshLatents } from './fresh.js'
import { type Look, looksAgain, sightsOver } from './sights.js'

/**
 * Posteriors of all pictures, computed once and kept in files of bounded size, one of which is in memory at a time. Their
 * folder's name is a digest of the first stage's weights, of the transform and of every byte of the source, so that
 * latents that no longer fit are never found; what an interrupted run had finished is used by the next.
 *
 * Throws FileError where the disk is full (the finished files stay), and where a picture is damaged and that is refused.
 */
export async function* encodeSource(given: LatentOptions): AsyncGenerator<TrainEvent, Latents> {
  const { source, size, flip, shapes, sights = [], folder = joinPath(cacheFolder(), 'latents') } = given
  if (given.shares) return freshLatents(given)
  const options = { ...given, keeps: source.pictures || sights.length === 0 ? undefined : sights }
  const transform: Transform = { size, crop: 'centre', flip, filter: 'bicubic' }
  const own = joinPath(folder, await digestOf(options, transform, folder))
  const encoder = lazyEncoder(options)
  const paths: string[] = []
  const places: (Omit<LatentRecord, 'picture'> & { readonly chunk: number })[] = []
  const pictures: Picture[] = []
  const skipped: Problem[] = []
  try {
    for (let next: Address | undefined = [0, 0]; next; ) {
      const path = joinPath(own, `${String(paths.length).padStart(5, '0')}.safetensors`)
      if ((await fileInfo(path)) === undefined) yield* encodeFile(path, next, { ...options, transform }, encoder)
      const chunk = await describeLatents(path)
      for (const { picture, ...place } of chunk.records) {
        places.push({ ...place, chunk: paths.length })
        // Captions of a folder may have changed since; they are no part of latents.
        pictures.push(source.pictures?.[place.at[0]] ?? picture)
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
  const look = options.keeps
    ? keptLooks(
        reader,
        ({ index }) => ({ ...places[index]!, path: paths[places[index]!.chunk]! }),
        factorOf(given.config),
      )
    : looksAgain(source, places, { transform, shapes, sights })
  const labels = source.labels.length > 0 ? source.labels : labelsOf(pictures)
  return {
    shape: commonest(places),
    shapeOf: index => places[index]!.shape,
    dataset: { folder: source.name, pictures, labels, brokenCaptions: [], skipped: source.skipped.examples },
    close: reader.close,
    ...sightsOver(look, transform),
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

/** Looks at what files of latents keep of pictures. */
const keptLooks =
  (
    reader: LatentReader,
    at: (draw: LatentDraw) => Omit<LatentRecord, 'picture'> & { readonly path: string },
    factor: number,
  ) =>
  async (draw: LatentDraw): Promise<Look> => {
    const { path, shape, seen } = at(draw)
    const { whole, window, begin, pixels, map, hint } = seen!
    const bytes = await reader.seen(path, begin, pixels + map + hint)
    const image = (data: Uint8Array) => ({
      data,
      width: shape[2] * factor,
      height: shape[1] * factor,
      channels: 3 as const,
    })
    return {
      ...{ whole, window, image: image(bytes.subarray(0, pixels)) },
      ...(map > 0 && { map: bytes.subarray(pixels, pixels + map) }),
      ...(hint > 0 && { hint: image(bytes.subarray(pixels + map)) }),
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

async function digestOf(
  { source, checkpoint, config, shapes, keeps, signal }: LatentOptions & Keeping,
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
    JSON.stringify([config.first_stage_config, transform, shapes, ...(keeps ? [keeps] : [])]),
    await contentDigest(source, known, signal),
  ]
  if (known.size > count) await writeFileAtomic(memory, JSON.stringify([...known]))
  for (const name of [...checkpoint.weights.keys()].filter(name => name.startsWith('first_stage_model.')).sort()) {
    parts.push(name, await sha256((await checkpoint.read(name)).bytes))
  }
  return sha256(parts.join('\n'))
}
