import { baseName, openSource } from '#platform'
import { FileError } from '../../platform/errors.js'
import type { ParquetLibrary } from '../../platform/parquet.js'
import { annotationFields, type Companion, companions, uniqueWords } from '../annotations.js'
import type { ReadOptions, Sample, Skipped } from '../source.js'
import type { usual } from './columns.js'
import { bytesOf, type ParquetFile } from './file.js'

/** A group of rows of a file, which is read on its own. */
export interface Part {
  readonly file: ParquetFile
  readonly first: number
  readonly rows: number
}

/** The groups of rows of a file. */
export function partsOf(file: ParquetFile): Part[] {
  let first = 0
  return file.metadata.row_groups.map(({ num_rows }) => {
    const part = { file, first, rows: Number(num_rows) }
    first += part.rows
    return part
  })
}

/** The samples of a group; what is damaged is left out and counted. */
export async function* readRows(
  library: ParquetLibrary,
  { file, first, rows }: Part,
  part: number,
  skipped: Skipped,
  isSplit: boolean,
  { from = 0, signal }: ReadOptions = {},
): AsyncGenerator<Sample> {
  signal?.throwIfAborted()
  if (from >= rows) return
  const { path, columns } = file
  const found = await readGroup(library, file, first + from, first + rows).catch((error: Error) => error)
  // The file itself is gone.
  if (found instanceof FileError) throw found
  if (found instanceof Error) {
    const place = `${baseName(path)}/rows ${first} to ${first + rows - 1}`
    skipped.add({ place, reason: `cannot be read (${found.message})` })
    return
  }
  for (const [i, row] of found.entries()) {
    const index = from + i
    const key = `${baseName(path)}/${first + index}`
    const bytes = pictureOf(row[columns.image])
    if (!bytes) {
      skipped.add({ place: key, reason: `holds no picture in its column "${columns.image}"` })
      continue
    }
    const given = (what: keyof typeof usual) => (columns[what] === undefined ? undefined : row[columns[what]])
    const label = labelOf(given('label'), file.classes)
    const boxes = boxesOf(given('boxes'))
    if (boxes?.error) {
      const { path, message } = boxes.error.issues[0]!
      skipped.add({
        place: key,
        reason: `its boxes cannot be used: ${path.map(part => `${String(part)}: `).join('')}${message}`,
      })
      continue
    }
    const beside = companions.flatMap(kind => {
      const bytes = pictureOf(given(kind))
      return bytes ? [[kind, bytes] as const satisfies readonly [Companion, Uint8Array]] : []
    })
    yield {
      ...{ key, address: [part, index], bytes: async () => bytes },
      held: beside.reduce((sum, [, { length }]) => sum + length, bytes.length),
      ...Object.fromEntries(beside.map(([kind, bytes]) => [kind, async () => bytes])),
      captions: textsOf(given('caption')),
      ...(label !== undefined && { label }),
      ...(boxes?.data && { boxes: boxes.data }),
      ...(isSplit && { split: file.split ?? 'train' }),
    }
  }
}

async function readGroup(library: ParquetLibrary, file: ParquetFile, rowStart: number, rowEnd: number) {
  const { metadata, columns } = file
  const source = await openSource(file.path)
  try {
    const names = Object.values(columns).filter(name => name !== undefined)
    const options = { metadata, columns: [...new Set(names)], rowStart, rowEnd }
    return await library.rows({ ...options, file: bytesOf(source) })
  } finally {
    await source.close()
  }
}

function pictureOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value.length > 0 ? value : undefined
  return value !== null && typeof value === 'object' && 'bytes' in value ? pictureOf(value.bytes) : undefined
}

const textsOf = (value: unknown): string[] =>
  uniqueWords([value].flat().flatMap(text => (typeof text === 'string' ? text.trim() : [])))

/** Boxes of a column, checked as those of records are; numbers of large types are plain here. */
function boxesOf(value: unknown) {
  if (value === undefined || value === null) return undefined
  return annotationFields.boxes.safeParse(typeof value === 'string' ? parsed(value) : value)
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return json
  }
}

function labelOf(value: unknown, classes: readonly string[]): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value !== 'number' && typeof value !== 'bigint') return undefined
  return classes[Number(value)] ?? String(value)
}
