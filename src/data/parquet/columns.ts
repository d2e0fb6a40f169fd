import { FileError } from '../../platform/errors.js'
import type { ParquetColumn } from '../../platform/parquet.js'
import { nearest } from '../../schema/nearest.js'

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
export const usual = {
  image: ['image', 'img', 'picture', 'jpg', 'png', 'webp', 'bytes', 'image_bytes', 'content'],
  caption: ['caption', 'captions', 'text', 'prompt'],
  label: ['label', 'class', 'labels', 'category', 'cls'],
  boxes: ['boxes'],
  map: ['map', 'segmentation', 'annotation', 'label_map', 'semantic_map', 'mask'],
  hint: ['hint', 'conditioning_image', 'control_image'],
} as const

/** The name of the column that holds something, as it is wanted or as it is usually called. */
export function pickColumn(
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

const isText = ({ element: { converted_type, logical_type } }: ParquetColumn) =>
  converted_type === 'UTF8' || logical_type?.type === 'STRING'
const holdsBytes = (column: ParquetColumn) =>
  column.children.some(({ element }) => element.name === 'bytes') ||
  (column.element.type === 'BYTE_ARRAY' && !isText(column))

const isPicture = (what: keyof typeof usual) => what === 'image' || what === 'map' || what === 'hint'
const fits = (what: keyof typeof usual, column: ParquetColumn) =>
  isPicture(what)
    ? holdsBytes(column)
    : what === 'label'
      ? column.children.length === 0
      : isText(column) || column.children.length > 0
