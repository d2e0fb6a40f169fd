import { decodeImage, decodePng, flatten, greyLevels, type Image, type Size, writePixels } from '../image/index.js'
import { FileError } from '../platform/errors.js'
import type { Box, Companion } from './annotations.js'
import { type BatchingOptions, type BatchState, batchSamples, type Loaded } from './batching.js'
import { nearestShape } from './buckets.js'
import { type PictureCache, pictureCache } from './picture-cache.js'
import type { Sample, Source } from './source.js'
import { type Drawn, heldOutSamples, noChance } from './stream.js'
import { boxesInView, cutOut, scaleTo, type Transform, type View, viewOf } from './transform.js'

export interface PictureOptions {
  readonly transform: Transform
  /** Shapes that pictures are sorted into; the transform's square by default. */
  readonly shapes?: readonly Size[] | undefined
  /** Keeps pictures that are decoded and scaled. */
  readonly cache?: PictureCache
  /** What is loaded along where a sample has it. */
  readonly also?: readonly Companion[]
}

/** A sample as a network sees it. */
export interface LoadedPicture extends Loaded {
  /** RGB, of the shape's size. */
  readonly image: Image
  readonly view: View
  /** Of the whole picture. */
  readonly whole: Size
  /** The caption that chance picked, '' where there is none. */
  readonly caption: string
  /** What of its boxes is seen. */
  readonly boxes?: readonly Box[]
  /** Classes of its pixels, [height, width], of its label map. */
  readonly map?: Uint8Array
  /** What a ControlNet is to follow, RGB, of the shape's size. */
  readonly hint?: Image
}

/** Pictures of one shape for a training step. */
export interface PictureBatch {
  /** [batch, 3, height, width] in [-1, 1]. */
  readonly pixels: Float32Array
  readonly width: number
  readonly height: number
  readonly pictures: readonly LoadedPicture[]
}

/** A batch with the state to go on from after it. */
export interface TrainingPictures extends PictureBatch {
  readonly state: BatchState
}

/**
 * Batches of pictures without end, decoded in the background while the caller computes.
 *
 * @example
 * const batches = pictureBatches(await openShards('photos-{000..012}.tar'), { seed: 1 }, { transform, batch: 32 })
 * for await (const { pixels, state } of batches) ...
 */
export async function* pictureBatches(
  source: Source,
  start: { readonly seed: number } | BatchState,
  options: PictureOptions & Omit<BatchingOptions<Sample, LoadedPicture>, 'load'>,
): AsyncGenerator<TrainingPictures> {
  const withCache = { ...options, cache: options.cache ?? pictureCache() }
  const load = (drawn: Drawn) => loadPicture(drawn, withCache)
  const batches = batchSamples(source, start, { ...options, load })
  for await (const { items, state } of batches) yield { ...inOneBatch(items), state }
}

/** Some samples without chance: middle cut out, first captions; all of one shape. FileError where one is damaged. */
export async function loadPictures(samples: readonly Sample[], options: PictureOptions): Promise<PictureBatch> {
  const load = (sample: Sample, number: number) => loadPicture({ sample, epoch: 0, number, ...noChance }, options)
  return inOneBatch(await Promise.all(samples.map(load)))
}

/** Decodes a sample and brings it to the shape nearest to it; FileError naming it where it is damaged. */
export async function loadPicture(
  drawn: Drawn,
  { transform, shapes, cache, also = [] }: PictureOptions,
): Promise<LoadedPicture> {
  const { sample } = drawn
  const { filter } = transform
  const shapeOf = (size: Size) => (shapes ? nearestShape(shapes, size) : undefined)
  const make = async () => {
    const image = await decodeSample(sample)
    const { width, height } = image
    const { scaled } = viewOf(image, transform, drawn, shapeOf(image))
    return { ...scaleTo(image, scaled, filter), from: { width, height } }
  }
  const key = `${transform.size} ${transform.resize} ${filter} ${shapes?.length} ${sample.key}`
  const { from, ...scaled } = await (cache && !transform.shares ? cache.get(key, make) : make())
  const view = viewOf(from, transform, drawn, shapeOf(from))
  const map = also.includes('map') && sample.map && (await loadMap(sample, from, view))
  const hint = also.includes('hint') && sample.hint && (await loadHint(sample, drawn, transform, view))
  return {
    drawn,
    shape: `${view.width}x${view.height}`,
    image: cutOut(scaled, view),
    view,
    whole: from,
    caption: captionBy(sample.captions, drawn.caption),
    ...(sample.boxes && { boxes: boxesInView(sample.boxes, view) }),
    ...(map && { map }),
    ...(hint && { hint }),
  }
}

/** The caption that a chance in [0, 1) picks, '' where there is none. */
export const captionBy = (captions: readonly string[], chance: number): string =>
  captions[Math.floor(chance * captions.length)] ?? ''

/** A sample's picture in RGB, transparent parts over white; FileError naming it where it is damaged. */
export const decodeSample = async (sample: Sample): Promise<Image> =>
  flatten(await decodeImage(await sample.bytes(), { file: sample.key }))

/** Classes of the pixels that a view shows: the map's grey values or palette numbers, no two of them mixed. */
async function loadMap(sample: Sample, picture: Size, view: View): Promise<Uint8Array> {
  const file = `${sample.key}, its label map`
  const image = await decodePng(await sample.map!(), { file, numbers: true })
  if (image.width !== picture.width || image.height !== picture.height) {
    const [found, wanted] = [image, picture].map(({ width, height }) => `${width}x${height}`)
    throw new FileError(file, `has ${found} pixels; wanted those of its picture, ${wanted}`)
  }
  const seen = cutOut(scaleTo(image, view.scaled, 'nearest'), view)
  try {
    return greyLevels(seen, 'the map')
  } catch (cause) {
    throw new FileError(file, (cause as Error).message, { cause })
  }
}

/** A hint as a view shows its picture, of whatever size it is itself. */
async function loadHint(sample: Sample, drawn: Drawn, transform: Transform, shape: Size): Promise<Image> {
  const image = flatten(await decodeImage(await sample.hint!(), { file: `${sample.key}, its hint` }))
  const view = viewOf(image, transform, drawn, shape)
  return cutOut(scaleTo(image, view.scaled, transform.filter), view)
}

/**
 * The pictures of samples to measure with (see `heldOutSamples`), loaded without chance; damaged ones are left out or
 * refused. FileError where none can be read.
 */
export async function heldOutPictures(
  source: Source,
  most: number,
  options: PictureOptions & Pick<BatchingOptions<Sample, LoadedPicture>, 'heldOut' | 'damaged' | 'signal'>,
): Promise<LoadedPicture[]> {
  const loaded: LoadedPicture[] = []
  for (const [number, sample] of (await heldOutSamples(source, most, options)).entries()) {
    try {
      loaded.push(await loadPicture({ sample, epoch: 0, number, ...noChance }, options))
    } catch (error) {
      if (!(error instanceof FileError) || options.damaged === 'refuse') throw error
      source.skipped.add({ place: sample.key, reason: error.message })
    }
  }
  if (loaded.length > 0) return loaded
  const [first] = source.skipped.examples
  throw new FileError(
    source.name,
    `holds no picture that can be read${first ? `; ${first.place}: ${first.reason}` : ''}`,
  )
}

/** Puts pictures of one shape together. */
export function inOneBatch(pictures: readonly LoadedPicture[]): PictureBatch {
  const { width, height } = pictures[0]!.image
  const pixels = new Float32Array(pictures.length * 3 * width * height)
  for (const [i, { image }] of pictures.entries()) writePixels(image, pixels, i * 3 * width * height)
  return { pixels, width, height, pictures }
}
