import { baseName, fileInfo, joinPath, listFolder, loadParquet, openSource } from '#platform'
import { FileError } from '../../platform/errors.js'
import type { ParquetBytes, ParquetColumn, ParquetLibrary, ParquetMetadata } from '../../platform/parquet.js'
import type { FileSource } from '../../platform/types.js'
import { nearest } from '../../schema/nearest.js'
import { annotationFields, type Companion, companions, uniqueWords } from '../annotations.js'
import { expandBraces } from '../braces.js'
import { countSkipped, type ReadOptions, type Sample, type Skipped, type Source } from '../source.js'

/** Which columns hold what; left out: the first that fits, by its name. */
export interface ParquetColumns {
  readonly image?: string | undefined
  readonly caption?: string | undefined
  readonly label?: string | undefined
  readonly boxes?: string | undefined
  readonly map?: string | undefined
  readonly hint?: string | undefined
}

/** What columns are called where nobody says. */
const usual = {
  image: ['image', 'img', 'picture', 'jpg', 'png', 'webp', 'bytes', 'image_bytes', 'content'],
  caption: ['caption', 'captions', 'text', 'prompt'],
  label: ['label', 'class', 'labels', 'category', 'cls'],
  boxes: ['boxes'],
  map: ['map', 'segmentation', 'annotation', 'label_map', 'semantic_map', 'mask'],
  hint: ['hint', 'conditioning_image', 'control_image'],
} as const
/** A group of rows is in memory as a whole while it is read. */
const maxGroupBytes = 2 ** 30
const maxGroupRows = 2 ** 24
const maxFooterBytes = 2 ** 28

/** A group of rows of a file, which is read on its own. */
interface Part {
  readonly file: ParquetFile
  readonly first: number
  readonly rows: number
}

interface ParquetFile {
  readonly path: string
  readonly size: number
  readonly metadata: ParquetMetadata
  readonly columns: ParquetColumns & { readonly image: string }
  /** Names of the numbers in the label's column. */
  readonly classes: readonly string[]
  readonly split: string | undefined
}

/**
 * Samples of Parquet files: a column of pictures (bytes, or `{bytes, path}` as Hugging Face writes them), of captions,
 * classes, boxes (lists of `{label, box}` as in a `captions.jsonl`, or JSON of them), label maps and hints. `from` is a name with braces, some names, or a folder with its folders. Groups of rows are read one at a
 * time; what is damaged is left out and counted. Needs the package hyparquet.
 *
 * Throws FileError where there are no such files, or none of them has a column of pictures (naming the columns found).
 *
 * @example const source = await openParquet('data', { columns: { caption: 'text' } })
 */
export async function openParquet(
  from: string | readonly string[],
  { columns = {}, labels }: { columns?: ParquetColumns; labels?: readonly string[] } = {},
): Promise<Source> {
  const name = typeof from === 'string' ? from : from.join(', ')
  const library = await loadParquet(name)
  const skipped = countSkipped()
  const files: ParquetFile[] = []
  const paths = await findFiles(from)
  for (const path of paths) {
    try {
      files.push(await openFile(library, path, columns))
    } catch (error) {
      if (!(error instanceof DamagedFile)) throw error
      skipped.add({ place: baseName(path), reason: error.message })
    }
  }
  const rows = files.reduce((sum, { metadata }) => sum + Number(metadata.num_rows), 0)
  if (rows === 0) {
    const reasons = skipped.examples.slice(0, 5).map(({ place, reason }) => `${place} ${reason}`)
    throw new FileError(
      name,
      `holds no rows in ${paths.length} Parquet files${reasons.map(text => `; ${text}`).join('')}`,
    )
  }
  const isSplit = files.some(({ split }) => split !== undefined && split !== 'train')
  const parts = files.flatMap(partsOf)
  return {
    name,
    parts: parts.length,
    labels: labels ?? files.find(({ classes }) => classes.length > 0)?.classes ?? [],
    skipped,
    read: (part, options) => readRows(library, parts[part]!, part, skipped, isSplit, options),
    async *files() {
      for (const { path, size } of files) {
        const modified = isUrl(path) ? 0 : ((await fileInfo(path))?.modified ?? 0)
        yield { name: baseName(path), path, size, modified }
      }
    },
  }
}

const isUrl = (path: string) => /^https?:\/\//i.test(path)

/** A file that cannot be read at all; the others can. */
class DamagedFile extends Error {}

async function findFiles(from: string | readonly string[]): Promise<string[]> {
  const found: string[] = []
  async function inside(folder: string): Promise<void> {
    for (const { name, kind } of await listFolder(folder)) {
      if (name.startsWith('.')) continue
      if (kind === 'folder') await inside(joinPath(folder, name))
      else if (/\.parquet$/i.test(name)) found.push(joinPath(folder, name))
    }
  }
  for (const path of [from].flat().flatMap(expandBraces)) {
    const before = found.length
    const info = isUrl(path) ? { kind: 'file' } : await fileInfo(path)
    if (info === undefined) throw new FileError(path, 'there is no such file or folder; check the path')
    if (info.kind === 'file') found.push(path)
    else await inside(path)
    if (found.length === before) throw new FileError(path, 'holds no Parquet files: looked for .parquet in it')
  }
  return found
}

function bytesOf(source: FileSource): ParquetBytes {
  const read = async (start: number, end: number) => {
    const bytes = await source.read(start, Math.min(end, source.size) - start)
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer
  }
  return {
    byteLength: source.size,
    slice(start, end = source.size) {
      const reading = read(start, end)
      // The library asks for several ranges at once and hears of the first failure alone.
      reading.catch(() => {})
      return reading
    },
  }
}

async function openFile(library: ParquetLibrary, path: string, wanted: ParquetColumns): Promise<ParquetFile> {
  const source = await openSource(path)
  try {
    const metadata = await readMetadata(library, source)
    const schema = library.schema(metadata).children
    const pick = (what: keyof typeof usual) => pickColumn(what, wanted[what], schema, path)
    const columns = {
      ...{ image: pick('image')!, caption: pick('caption'), label: pick('label') },
      ...{ boxes: pick('boxes'), map: pick('map'), hint: pick('hint') },
    }
    for (const group of metadata.row_groups) checkGroup(group, columns, path)
    const split = /^(train|test|val|valid|validation|dev)\b/i.exec(baseName(path))?.[1]?.toLowerCase()
    return { path, size: source.size, metadata, columns, classes: classesOf(metadata, columns.label), split }
  } finally {
    await source.close()
  }
}

async function readMetadata(library: ParquetLibrary, source: FileSource): Promise<ParquetMetadata> {
  const end = await source.read(Math.max(0, source.size - 8), Math.min(8, source.size))
  const length = end.length === 8 ? new DataView(end.buffer, end.byteOffset).getUint32(0, true) : 0
  if (String.fromCharCode(...end.subarray(4)) !== 'PAR1') {
    throw new DamagedFile('is cut short or no Parquet file: it does not end in PAR1')
  }
  if (length > Math.min(source.size - 12, maxFooterBytes)) throw new DamagedFile(`declares a footer of ${length} bytes`)
  try {
    const metadata = await library.metadata(bytesOf(source))
    checkMetadata(metadata, library.schema(metadata), source.size)
    return metadata
  } catch (cause) {
    throw new DamagedFile(`has a damaged footer (${(cause as Error).message})`, { cause })
  }
}

/** What the library takes for granted: every column stands in the schema and lies in the file. */
function checkMetadata({ row_groups, num_rows }: ParquetMetadata, schema: ParquetColumn, size: number): void {
  const leaves = new Set<string>()
  const collect = ({ element, children }: ParquetColumn, path: readonly string[]) => {
    const here = [...path, element.name]
    if (children.length === 0) leaves.add(here.join('\0'))
    for (const child of children) collect(child, here)
  }
  for (const child of schema.children) collect(child, [])
  let rows = 0
  for (const group of row_groups) {
    const count = Number(group.num_rows)
    if (!(count >= 0 && count <= maxGroupRows)) throw new Error(`a group declares ${count} rows`)
    rows += count
    if (group.columns.length !== leaves.size) throw new Error('a group lacks columns')
    for (const { meta_data } of group.columns) {
      if (!meta_data || !leaves.has(meta_data.path_in_schema.join('\0')))
        throw new Error('a column is not in the schema')
      const begin = Number(meta_data.dictionary_page_offset || meta_data.data_page_offset)
      const length = Number(meta_data.total_compressed_size)
      const unpacked = Number(meta_data.total_uncompressed_size)
      const inside = begin >= 0 && length >= 0 && unpacked >= 0 && begin + length <= size
      if (!inside) throw new Error('a column lies outside the file')
    }
  }
  if (rows !== Number(num_rows)) throw new Error(`it declares ${num_rows} rows; its groups have ${rows}`)
}

const isText = ({ element: { converted_type, logical_type } }: ParquetColumn) =>
  converted_type === 'UTF8' || logical_type?.type === 'STRING'
const holdsBytes = (column: ParquetColumn) =>
  column.children.some(({ element }) => element.name === 'bytes') ||
  (column.element.type === 'BYTE_ARRAY' && !isText(column))

function pickColumn(
  what: keyof typeof usual,
  wanted: string | undefined,
  schema: readonly ParquetColumn[],
  path: string,
): string | undefined {
  const names = schema.map(({ element }) => element.name)
  const among = `it has ${names.join(', ')}`
  if (wanted !== undefined) {
    const column = schema.find(({ element }) => element.name === wanted)
    const near = nearest(wanted, names)
    if (!column) {
      throw new FileError(path, `has no column "${wanted}"${near ? `; did you mean "${near}"?` : ''} (${among})`)
    }
    if (isPicture(what) && !holdsBytes(column)) {
      throw new FileError(
        path,
        `its column "${wanted}" holds no pictures: wanted bytes, or a group with bytes; ${among}`,
      )
    }
    return wanted
  }
  const byName = usual[what].find(name => schema.some(column => column.element.name === name && fits(what, column)))
  if (byName !== undefined || what !== 'image') return byName
  const pictures = schema.filter(holdsBytes)
  if (pictures.length === 1) return pictures[0]!.element.name
  throw new FileError(
    path,
    pictures.length === 0
      ? `has no column of pictures (bytes, or a group with bytes; what stands at addresses is not fetched): ${among}`
      : `has several columns of bytes, ${pictures.map(({ element }) => element.name).join(', ')}: name one as the image's`,
  )
}

const isPicture = (what: keyof typeof usual) => what === 'image' || what === 'map' || what === 'hint'
const fits = (what: keyof typeof usual, column: ParquetColumn) =>
  isPicture(what)
    ? holdsBytes(column)
    : what === 'label'
      ? column.children.length === 0
      : isText(column) || column.children.length > 0

function checkGroup(
  { columns }: ParquetMetadata['row_groups'][number],
  { image, map, hint }: ParquetColumns,
  path: string,
): void {
  const bytes = columns
    .filter(({ meta_data }) => [image, map, hint].includes(meta_data?.path_in_schema[0]))
    .reduce((sum, { meta_data }) => sum + Number(meta_data!.total_uncompressed_size), 0)
  if (bytes <= maxGroupBytes) return
  throw new FileError(
    path,
    `has ${bytes} bytes of pictures in one group of rows; groups of at most ${maxGroupBytes} are read. ` +
      'Write it again with smaller groups (pyarrow: row_group_size=100)',
  )
}

/** The names that Hugging Face's datasets give the numbers of a column of classes. */
function classesOf({ key_value_metadata = [] }: ParquetMetadata, label: string | undefined): readonly string[] {
  const text = key_value_metadata.find(({ key }) => key === 'huggingface')?.value
  try {
    const names: unknown = JSON.parse(text ?? '{}').info?.features?.[label ?? '']?.names
    return Array.isArray(names) && names.every(name => typeof name === 'string') ? names : []
  } catch {
    return []
  }
}

function partsOf(file: ParquetFile): Part[] {
  let first = 0
  return file.metadata.row_groups.map(({ num_rows }) => {
    const part = { file, first, rows: Number(num_rows) }
    first += part.rows
    return part
  })
}

async function* readRows(
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
