import { FileError } from '../platform/errors.js'

/** An array of numpy: floats, row-major. */
export interface NpyArray {
  readonly shape: readonly number[]
  readonly data: Float64Array
}

const magic = '\x93NUMPY'

/**
 * Reads a .npy array of 32- or 64-bit floats or integers of 64 bits.
 *
 * Throws FileError for anything else (Python objects above all, which would have to be run), and where data are missing.
 * Source: numpy/lib/format.py.
 */
export function readNpy(bytes: Uint8Array, file: string): NpyArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = (from: number, to: number) => new TextDecoder('latin1').decode(bytes.subarray(from, to))
  if (text(0, 6) !== magic || bytes.length < 12) throw new FileError(file, 'is no .npy array of numpy', { offset: 0 })
  const wide = bytes[6]! > 1
  const begin = wide ? 12 : 10
  const data = begin + (wide ? view.getUint32(8, true) : view.getUint16(8, true))
  const header = text(begin, data)
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1]
  const fortran = /'fortran_order':\s*True/.test(header)
  const sides = /'shape':\s*\(([\d, ]*)\)/.exec(header)?.[1]
  const type = descr === undefined ? undefined : types[descr]
  if (type === undefined || sides === undefined || data > bytes.length) {
    throw new FileError(file, `holds an array of "${descr?.slice(0, 20)}"; wanted are floats, such as '<f8'`, {
      offset: begin,
    })
  }
  const shape = sides.split(',').flatMap(side => (side.trim() === '' ? [] : [Number(side)]))
  if (fortran && shape.length > 1) {
    throw new FileError(file, 'holds an array in column order; save it with numpy.ascontiguousarray', { offset: begin })
  }
  const count = shape.reduce((product, side) => product * side, 1)
  if (count * type.bytes !== bytes.length - data) {
    throw new FileError(
      file,
      `is damaged: an array [${shape.join(', ')}] has ${count} numbers, its data are of another length`,
      { offset: data },
    )
  }
  return { shape, data: Float64Array.from({ length: count }, (_, i) => type.at(view, data + i * type.bytes)) }
}

const types: Readonly<Record<string, { bytes: number; at: (view: DataView, offset: number) => number }>> = {
  '<f8': { bytes: 8, at: (view, offset) => view.getFloat64(offset, true) },
  '<f4': { bytes: 4, at: (view, offset) => view.getFloat32(offset, true) },
  '<i8': { bytes: 8, at: (view, offset) => Number(view.getBigInt64(offset, true)) },
}

/** A .npy array of 64-bit floats. */
export const encodeNpy = ({ shape, data }: NpyArray): Uint8Array =>
  withHeader('<f8', shape, new Uint8Array(Float64Array.from(data).buffer))

/** A .npy array of one text, which numpy reads as bytes. */
export function encodeNpyText(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text)
  return withHeader(`|S${bytes.length}`, [], bytes)
}

/** The text that `encodeNpyText` wrote; undefined for any other array. */
export function readNpyText(bytes: Uint8Array): string | undefined {
  const header = new TextDecoder('latin1').decode(bytes.subarray(0, 128))
  const length = /^\x93NUMPY.*'descr': '\|S(\d+)'/s.exec(header)?.[1]
  return length === undefined ? undefined : new TextDecoder().decode(bytes.subarray(bytes.length - Number(length)))
}

function withHeader(descr: string, shape: readonly number[], data: Uint8Array): Uint8Array {
  const sides = shape.map(side => `${side},`).join(' ')
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.length > 1 ? sides.slice(0, -1) : sides}), }`
  // The data begin at a multiple of 64 bytes, after a line's end.
  const length = Math.ceil((10 + header.length + 1) / 64) * 64 - 10
  const out = new Uint8Array(10 + length + data.length)
  out.set(Uint8Array.from(magic, c => c.charCodeAt(0)))
  out.set([1, 0, length & 255, length >> 8], 6)
  out.set(new TextEncoder().encode(`${header.padEnd(length - 1)}\n`), 10)
  out.set(data, 10 + length)
  return out
}
