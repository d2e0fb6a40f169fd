import type { Image } from '../image/index.js'
import { torchGenerator } from '../random/index.js'
import type { Extractor } from './extractor.js'
import type { Features } from './features.js'
import { collectMoments, type Moments } from './moments.js'

/** What is known of a set of pictures through one feature network. */
export interface FeatureSet {
  /** The network's label. */
  readonly network: string
  readonly published: boolean
  readonly moments: Moments
  /** Features of all pictures or, of more than are kept, of some drawn evenly; undefined for statistics from a file. */
  readonly features?: Features | undefined
  readonly logits?: Features | undefined
}

/** How features are collected. */
export interface FeatureSetOptions {
  /** Most rows that are kept for measures that need features and not their moments alone. */
  readonly keep?: number | undefined
  readonly batch?: number | undefined
  /** Told after each batch how many pictures are done. */
  readonly onProgress?: ((done: number) => void) | undefined
}

/** Takes pictures one by one; `done` gives what is known of all. */
export interface FeatureCollector {
  add(image: Image): Promise<void>
  /** @throws RangeError below two pictures. */
  done(): Promise<FeatureSet>
}

/** Collects features in bounded memory: moments of all pictures, rows of at most `keep`. */
export function collectFeatures(
  { network, extract }: Extractor,
  { keep = 5000, batch = 8, onProgress }: FeatureSetOptions = {},
): FeatureCollector {
  const moments = collectMoments(network.columns)
  const kept = reservoir(keep)
  let pending: Image[] = []
  let count = 0
  async function flush() {
    if (pending.length === 0) return
    const images = pending
    pending = []
    const { features, logits } = await extract(images)
    moments.add(features)
    for (let row = 0; row < images.length; row++) kept.offer([rowOf(features, row), logits && rowOf(logits, row)])
    count += images.length
    onProgress?.(count)
  }
  return {
    async add(image) {
      if (pending.push(image) >= batch) await flush()
    },
    async done() {
      await flush()
      const { label, published } = network
      const taken = moments.moments()
      const rows = kept.rows()
      const logits = rows[0]![1] && matrix(rows.map(([, row]) => row!))
      return { network: label, published, moments: taken, features: matrix(rows.map(([row]) => row)), logits }
    },
  }
}

/**
 * What is known of pictures through a feature network, in bounded memory.
 *
 * @throws RangeError for fewer than two pictures
 * @example const real = await featureSet(extractor, pictures)
 */
export async function featureSet(
  extractor: Extractor,
  pictures: AsyncIterable<Image> | Iterable<Image>,
  options: FeatureSetOptions = {},
): Promise<FeatureSet> {
  const collector = collectFeatures(extractor, options)
  for await (const picture of pictures) await collector.add(picture)
  return collector.done()
}

const rowOf = ({ data, columns }: Features, row: number): Float32Array =>
  Float32Array.from(data.subarray(row * columns, (row + 1) * columns))

function matrix(rows: readonly Float32Array[]): Features {
  const columns = rows[0]!.length
  const data = new Float32Array(rows.length * columns)
  for (const [i, row] of rows.entries()) data.set(row, i * columns)
  return { data, rows: rows.length, columns }
}

/** Keeps a fair sample of whatever comes: each with the same chance (Vitter 1985, algorithm R). */
function reservoir(size: number) {
  const random = torchGenerator(0)
  const kept: (readonly [Float32Array, Float32Array | undefined])[] = []
  let seen = 0
  return {
    offer(row: readonly [Float32Array, Float32Array | undefined]) {
      seen++
      if (kept.length < size) kept.push(row)
      else {
        const place = Math.floor(random.rand(1)[0]! * seen)
        if (place < size) kept[place] = row
      }
    },
    rows: () => kept,
  }
}
