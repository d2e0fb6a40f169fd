import { extensionName, joinPath, openSource } from '#platform'
import { readSize, type Size, sizeBytes } from '../image/size.js'
import { FileError } from '../platform/errors.js'
import { type Dataset, type Picture, readPicture } from './dataset.js'
import { list, type OpenFolderOptions, openFolder } from './folder.js'
import { decodeSample } from './pictures.js'
import { everySample, type Sample, type Source } from './source.js'
import { type Split, splitDataset } from './split.js'

/** So many pictures are opened for their sizes, evenly spread, if there are more. */
const sizeSample = 2000
/** Below this a diffusion model learns the pictures by heart (a figure of experience, not of any paper). */
const fewPictures = 1000

/** What a folder holds, for a person to see before anything is trained on it. */
export interface FolderReport {
  readonly dataset: Dataset
  readonly split: Split
  /** Whether `dataset` is all there is; of shards and Parquet files only the beginning is looked at. */
  readonly complete: boolean
  /** Bytes of all files. */
  readonly bytes: number
  /** Files by extension, most first. */
  readonly kinds: readonly { readonly kind: string; readonly count: number }[]
  /** Sizes in pixels of the pictures that were opened for it, most frequent first. */
  readonly sizes: readonly (Size & { readonly count: number })[]
  /** How many pictures were opened for their sizes. */
  readonly sampled: number
  /** Shorter side in pixels: smallest, middle, largest; undefined where no size could be read. */
  readonly shorterSide: { readonly min: number; readonly median: number; readonly max: number } | undefined
  /** Pictures with at least one caption, and captions in all. */
  readonly captioned: number
  readonly captions: number
  /** Pictures by label, most first. */
  readonly labels: readonly { readonly label: string; readonly count: number }[]
  readonly warnings: readonly string[]
}

/**
 * Looks at a folder of pictures as `openFolder` does, and decodes one of each kind, so that a missing codec shows now:
 * the LatentkitError says what to install.
 *
 * @example const { dataset, warnings } = await inspectFolder('pictures')
 */
export async function inspectFolder(folder: string, options: OpenFolderOptions = {}): Promise<FolderReport> {
  const dataset = await openFolder(folder, options)
  const { pictures } = dataset
  const kinds = tally(pictures, ({ file }) => extensionName(file)).map(([kind, count]) => ({ kind, count }))
  const damaged = await tryOneOfEach(dataset, kinds)
  const step = Math.max(1, pictures.length / sizeSample)
  const sample = Array.from({ length: Math.floor(pictures.length / step) }, (_, i) => pictures[Math.floor(i * step)]!)
  const sizes = await readSizes(folder, sample, options.signal)
  const bytes = pictures.reduce((sum, { size }) => sum + size, 0)
  return reportOf(dataset, { kinds, bytes, sizes, sampled: sample.length, damaged, complete: true })
}

/** Decodes a sample, so that a missing codec shows. */
async function tryOne(sample: Sample, damaged: string[]): Promise<void> {
  try {
    await decodeSample(sample)
  } catch (error) {
    if (!(error instanceof FileError)) throw error
    damaged.push(error.message)
  }
}

/** Samples of shards and Parquet files that are looked at, from the beginning. */
const streamSample = 1000

/** Looks at the beginning of shards or Parquet files as at a folder; the report's dataset is what was looked at. */
export async function inspectSource(source: Source, signal?: AbortSignal): Promise<FolderReport> {
  const pictures: Picture[] = []
  const sizes: Size[] = []
  const damaged: string[] = []
  let complete = true
  for await (const sample of everySample(source, [0, 0], signal)) {
    if (pictures.length === streamSample) {
      complete = false
      break
    }
    const bytes = await sample.bytes()
    const { key: file, captions, label, boxes, split } = sample
    const known = { ...(label !== undefined && { label }), ...(boxes && { boxes }), ...(split && { split }) }
    pictures.push({ file, size: bytes.length, captions, ...known })
    const size = readSize(bytes.subarray(0, sizeBytes))
    if (size) sizes.push(size)
    if (pictures.length === 1) await tryOne(sample, damaged)
  }
  let bytes = 0
  const kinds = new Map<string, number>()
  for await (const { name, size } of source.files()) {
    bytes += size
    const kind = extensionName(name)
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  }
  const labels = source.labels.length > 0 ? source.labels : [...new Set(pictures.flatMap(({ label }) => label ?? []))]
  const dataset = { folder: source.name, pictures, labels, brokenCaptions: [], skipped: source.skipped.examples }
  const counted = [...kinds].map(([kind, count]) => ({ kind, count }))
  return reportOf(dataset, { kinds: counted, bytes, sizes, sampled: pictures.length, damaged, complete })
}

type Looked = Pick<FolderReport, 'kinds' | 'bytes' | 'sampled' | 'complete'> & {
  readonly sizes: readonly Size[]
  readonly damaged: readonly string[]
}

function reportOf(dataset: Dataset, { sizes, damaged, ...looked }: Looked): FolderReport {
  const { pictures } = dataset
  const shorter = sizes.map(({ width, height }) => Math.min(width, height)).sort((a, b) => a - b)
  const bySize = tally(sizes, ({ width, height }) => `${width}x${height}`)
  const report = {
    ...looked,
    dataset,
    split: splitDataset(dataset),
    sizes: bySize.map(([key, count]) => ({
      width: Number(key.split('x')[0]),
      height: Number(key.split('x')[1]),
      count,
    })),
    shorterSide:
      shorter.length > 0
        ? { min: shorter[0]!, median: shorter[shorter.length >> 1]!, max: shorter.at(-1)! }
        : undefined,
    captioned: pictures.filter(({ captions }) => captions.length > 0).length,
    captions: pictures.reduce((sum, { captions }) => sum + captions.length, 0),
    labels: tally(
      pictures.filter(({ label }) => label !== undefined),
      ({ label }) => label!,
    ).map(([label, count]) => ({ label, count })),
  }
  return { ...report, warnings: [...damaged, ...warningsOf(report, looked.sampled - sizes.length)] }
}

async function tryOneOfEach({ folder, pictures }: Dataset, kinds: readonly { kind: string }[]): Promise<string[]> {
  const warnings: string[] = []
  for (const { kind } of kinds) {
    try {
      await readPicture(folder, pictures.find(({ file }) => extensionName(file) === kind)!)
    } catch (error) {
      if (!(error instanceof FileError)) throw error
      warnings.push(error.message)
    }
  }
  return warnings
}

async function readSizes(folder: string, pictures: readonly Picture[], signal?: AbortSignal): Promise<Size[]> {
  const sizes: Size[] = []
  for (const { file } of pictures) {
    signal?.throwIfAborted()
    const source = await openSource(joinPath(folder, file))
    try {
      const size = readSize(await source.read(0, Math.min(source.size, sizeBytes)))
      if (size) sizes.push(size)
    } finally {
      await source.close()
    }
  }
  return sizes
}

function warningsOf(
  { dataset, captioned, split, complete }: Omit<FolderReport, 'warnings'>,
  sizeless: number,
): string[] {
  const { pictures, brokenCaptions, skipped } = dataset
  const warnings: string[] = []
  if (complete && pictures.length < fewPictures) {
    warnings.push(`There are ${pictures.length} pictures; below about ${fewPictures} a model learns them by heart`)
  }
  if (captioned > 0 && captioned < pictures.length) {
    warnings.push(`${pictures.length - captioned} of ${pictures.length} pictures have no caption`)
  }
  if (brokenCaptions.length > 0) {
    warnings.push(`${brokenCaptions.length} captions cannot be used: ${list(brokenCaptions)}`)
  }
  if (skipped.length > 0) warnings.push(`${skipped.length} pictures were left out: ${list(skipped)}`)
  if (sizeless > 0) warnings.push(`The sizes of ${sizeless} pictures could not be read; they may be damaged`)
  if (split.heldOut.length === 0) warnings.push('No picture is held out, so that nothing will tell learning by heart')
  return warnings
}

/** How often each key occurs, most first. */
function tally<T>(items: readonly T[], key: (item: T) => string): [string, number][] {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1)
  return [...counts].sort((a, b) => b[1] - a[1])
}
