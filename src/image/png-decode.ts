import { inflateZlib } from '#platform'
import { concatBytes } from '../platform/bytes.js'
import { DataTooLongError, FileError } from '../platform/errors.js'
import type { Image } from './image.js'
import { readChunks } from './png-chunks.js'
import { type PngHeader, readHeader, samplesPerPixel } from './png-header.js'

/** 8192 x 8192: what is decoded unless the caller allows more. */
export const defaultMaxPixels = 2 ** 26

/** Adam7 (PNG, 8.2) and the plain order: where a pass begins and its steps, [x, y, stepX, stepY]. */
const adam7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const
const plain = [[0, 0, 1, 1]] as const

export interface PngOptions {
  /** Named in errors. */
  readonly file?: string
  readonly maxPixels?: number
  /** The numbers that a palette or grey PNG holds, as grey levels, in place of the colours that they stand for: maps of classes. */
  readonly numbers?: boolean
}

interface Pass {
  readonly x: number
  readonly y: number
  readonly stepX: number
  readonly stepY: number
  readonly columns: number
  readonly rows: number
  /** Bytes of one row without its filter byte. */
  readonly rowBytes: number
}

/**
 * Decodes a PNG of any kind: RGB, or RGBA where it has alpha; 16 bits are cut to the upper 8.
 *
 * Throws FileError naming `file` where it is damaged, cut off, larger than `maxPixels` or unpacks to more than its size
 * needs.
 *
 * @example const picture = await decodePng(await readBytes('heart.png'), { file: 'heart.png' })
 */
export async function decodePng(
  bytes: Uint8Array,
  { file = 'PNG', maxPixels = defaultMaxPixels, numbers = false }: PngOptions = {},
): Promise<Image> {
  let header: PngHeader | undefined
  let palette: Uint8Array | undefined
  let transparency: Uint8Array | undefined
  const packed: Uint8Array[] = []
  for (const chunk of readChunks(bytes, file)) {
    if (!header) {
      header = readHeader(chunk, file)
      if (header.width * header.height > maxPixels) {
        throw new FileError(file, `has ${header.width}x${header.height} pixels; at most ${maxPixels} are decoded`)
      }
    } else if (chunk.type === 'PLTE') palette = chunk.data
    else if (chunk.type === 'tRNS') transparency = chunk.data
    else if (chunk.type === 'IDAT') packed.push(chunk.data)
  }
  if (!header || packed.length === 0) throw new FileError(file, 'is a PNG without pixels (no IDAT chunk)')
  const passes = passesOf(header)
  const length = passes.reduce((sum, pass) => sum + pass.rows * (pass.rowBytes + 1), 0)
  const raw = await unpack(packed, length, file)
  const colours =
    numbers && samplesPerPixel(header) === 1 ? numberReader(header) : colourReader(header, palette, transparency, file)
  const data = new Uint8Array(header.width * header.height * colours.channels)
  let offset = 0
  for (const pass of passes) {
    unfilter(raw, offset, pass, Math.max(1, (samplesPerPixel(header) * header.depth) >> 3), file)
    for (let row = 0; row < pass.rows; row++) {
      const from = offset + row * (pass.rowBytes + 1) + 1
      const line = (pass.y + row * pass.stepY) * header.width + pass.x
      for (let column = 0; column < pass.columns; column++) {
        colours.read(raw, from, column, data, (line + column * pass.stepX) * colours.channels)
      }
    }
    offset += pass.rows * (pass.rowBytes + 1)
  }
  return { data, width: header.width, height: header.height, channels: colours.channels }
}

function passesOf(header: PngHeader): Pass[] {
  const bits = samplesPerPixel(header) * header.depth
  return (header.interlaced ? adam7 : plain)
    .map(([x, y, stepX, stepY]) => {
      const columns = Math.ceil((header.width - x) / stepX)
      const rows = Math.ceil((header.height - y) / stepY)
      return { x, y, stepX, stepY, columns, rows, rowBytes: Math.ceil((columns * bits) / 8) }
    })
    .filter(pass => pass.columns > 0 && pass.rows > 0)
}

async function unpack(pieces: readonly Uint8Array[], length: number, file: string): Promise<Uint8Array> {
  let raw: Uint8Array
  try {
    raw = await inflateZlib(concatBytes(...pieces), length)
  } catch (cause) {
    const tooLong = cause instanceof DataTooLongError
    throw new FileError(file, tooLong ? 'its PNG data are longer than its size needs' : 'its PNG data are damaged', {
      cause,
    })
  }
  if (raw.length < length) throw new FileError(file, `its PNG data end after ${raw.length} of ${length} bytes`)
  return raw
}

/** Undoes the row filters of one pass in place (PNG, 9.2); `step` is the bytes from a pixel to its left neighbour. */
function unfilter(raw: Uint8Array, offset: number, { rows, rowBytes }: Pass, step: number, file: string): void {
  for (let row = 0; row < rows; row++) {
    const at = offset + row * (rowBytes + 1) + 1
    const above = at - rowBytes - 1
    const filter = raw[at - 1]!
    if (filter > 4) throw new FileError(file, `row ${row} of its PNG data has filter ${filter}; 0 to 4 exist`)
    if (filter === 0) continue
    for (let i = 0; i < rowBytes; i++) {
      const left = i >= step ? raw[at + i - step]! : 0
      const up = row > 0 ? raw[above + i]! : 0
      const corner = i >= step && row > 0 ? raw[above + i - step]! : 0
      const guess = filter === 1 ? left : filter === 2 ? up : filter === 3 ? (left + up) >> 1 : paeth(left, up, corner)
      raw[at + i]! += guess
    }
  }
}

/** PNG, 9.4: of left, up and upper left the one nearest to left + up - upper left. */
export function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner
  const a = Math.abs(guess - left)
  const b = Math.abs(guess - up)
  const c = Math.abs(guess - corner)
  return a <= b && a <= c ? left : b <= c ? up : corner
}

interface ColourReader {
  readonly channels: 3 | 4
  /** Writes pixel `column` of the row at `from` to `out[to...]`. */
  read(raw: Uint8Array, from: number, column: number, out: Uint8Array, to: number): void
}

/** The upper 8 bits of a sample, or all of fewer. */
function sampleAt({ depth }: PngHeader, raw: Uint8Array, from: number, index: number): number {
  if (depth === 8) return raw[from + index]!
  if (depth === 16) return raw[from + 2 * index]!
  const bit = index * depth
  return (raw[from + (bit >> 3)]! >> (8 - depth - (bit & 7))) & ((1 << depth) - 1)
}

/** Reads the numbers of pixels that have one each, whatever colour they stand for. */
const numberReader = (header: PngHeader): ColourReader => ({
  channels: 3,
  read: (raw, from, column, out, to) => out.fill(sampleAt(header, raw, from, column), to, to + 3),
})

function colourReader(
  header: PngHeader,
  palette: Uint8Array | undefined,
  transparency: Uint8Array | undefined,
  file: string,
): ColourReader {
  const { depth, colour } = header
  const samples = samplesPerPixel(header)
  const sample = (raw: Uint8Array, from: number, index: number) => sampleAt(header, raw, from, index)
  if (colour === 'palette') {
    if (!palette || palette.length % 3 !== 0) throw new FileError(file, 'is a PNG of palette colours without a palette')
    const channels = transparency ? 4 : 3
    return {
      channels,
      read(raw, from, column, out, to) {
        const index = sample(raw, from, column)
        if (3 * index >= palette.length) {
          throw new FileError(file, `has colour ${index}; its palette has ${palette.length / 3}`)
        }
        for (let c = 0; c < 3; c++) out[to + c] = palette[3 * index + c]!
        if (transparency) out[to + 3] = transparency[index] ?? 255
      },
    }
  }
  const full = depth < 8 ? 255 / ((1 << depth) - 1) : 1
  const alpha = samples === 2 || samples === 4
  const opaque = alpha ? undefined : transparency
  if (opaque && opaque.length !== 2 * samples) {
    throw new FileError(file, `its tRNS chunk has ${opaque.length} bytes; ${2 * samples} are wanted`)
  }
  const grey = samples < 3
  /** Whether the pixel is the one colour that tRNS makes transparent; compared in all its bits. */
  const isClear = (raw: Uint8Array, from: number, column: number, key: Uint8Array) => {
    for (let c = 0; c < samples; c++) {
      const index = column * samples + c
      const low = depth === 16 ? raw[from + 2 * index + 1]! : sample(raw, from, index)
      const high = depth === 16 ? sample(raw, from, index) : 0
      if (key[2 * c] !== high || key[2 * c + 1] !== low) return false
    }
    return true
  }
  return {
    channels: alpha || opaque ? 4 : 3,
    read(raw, from, column, out, to) {
      const first = column * samples
      for (let c = 0; c < 3; c++) out[to + c] = sample(raw, from, grey ? first : first + c) * full
      if (alpha) out[to + 3] = sample(raw, from, first + samples - 1)
      else if (opaque) out[to + 3] = isClear(raw, from, column, opaque) ? 0 : 255
    },
  }
}
