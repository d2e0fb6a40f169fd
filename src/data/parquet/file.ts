import { baseName, openSource } from '#platform'
import { FileError } from '../../platform/errors.js'
import type { ParquetBytes, ParquetColumn, ParquetLibrary, ParquetMetadata } from '../../platform/parquet.js'
import type { FileSource } from '../../platform/types.js'
import { type ParquetColumns, pickColumn, type usual } from './columns.js'

/** A group of rows is in memory as a whole while it is read. */
const maxGroupBytes = 2 ** 30
const maxGroupRows = 2 ** 24
const maxFooterBytes = 2 ** 28

/** A file, as its footer tells. */
export interface ParquetFile {
  readonly path: string
  readonly size: number
  readonly metadata: ParquetMetadata
  readonly columns: ParquetColumns & { readonly image: string }
  /** Names of the numbers in the label's column. */
  readonly classes: readonly string[]
  readonly split: string | undefined
}

/** A file that cannot be read at all; the others can. */
export class DamagedFile extends Error {}

/** A file as the library reads it. */
export function bytesOf(source: FileSource): ParquetBytes {
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

/** Reads a file's footer and finds its columns; throws DamagedFile where it cannot be read, FileError where it has no pictures. */
export async function openFile(library: ParquetLibrary, path: string, wanted: ParquetColumns): Promise<ParquetFile> {
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
