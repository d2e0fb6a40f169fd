import { baseName, fileInfo, joinPath, listFolder, loadParquet } from '#platform'
import { FileError } from '../../platform/errors.js'
import { expandBraces } from '../braces.js'
import { countSkipped, type Source } from '../source.js'
import type { ParquetColumns } from './columns.js'
import { DamagedFile, openFile, type ParquetFile } from './file.js'
import { partsOf, readRows } from './rows.js'

/**
 * Samples of Parquet files: a column of pictures (bytes, or `{bytes, path}` as Hugging Face writes them), of captions,
 * classes, boxes (lists of `{label, box}` as in a `captions.jsonl`, or JSON of them), label maps and hints. `from` is
 * a name with braces, some names, or a folder with its folders. Groups of rows are read one at a time; what is damaged is
 * left out and counted. Needs the package hyparquet.
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
