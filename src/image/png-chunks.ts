import { crc32 } from '../platform/crc32.js'
import { FileError } from '../platform/errors.js'

const signature = [137, 80, 78, 71, 13, 10, 26, 10]

/** One chunk of a PNG file: its data and the byte at which it begins. */
export interface PngChunk {
  readonly type: string
  readonly data: Uint8Array
  readonly offset: number
}

export function isPng(bytes: Uint8Array): boolean {
  return signature.every((byte, i) => bytes[i] === byte)
}

/** The chunks of a PNG file up to IEND, each with its checksum tested; FileError where it is damaged or cut off. */
export function* readChunks(bytes: Uint8Array, file: string): Generator<PngChunk> {
  if (!isPng(bytes))
    throw new FileError(file, 'is no PNG picture: it does not begin with the PNG signature', { offset: 0 })
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let offset = signature.length; ; ) {
    if (offset + 12 > bytes.length)
      throw new FileError(file, 'is cut off: the PNG ends before its IEND chunk', { offset })
    const length = view.getUint32(offset)
    const end = offset + 12 + length
    if (end > bytes.length) {
      const rest = bytes.length - offset - 12
      throw new FileError(file, `is cut off: a PNG chunk of ${length} bytes begins, ${rest} are there`, { offset })
    }
    const type = String.fromCharCode(...bytes.subarray(offset + 4, offset + 8))
    // A capital first letter: without it the picture cannot be shown (PNG, 5.4).
    if (!/^(IHDR|PLTE|IDAT|IEND|[a-z][A-Za-z]{3})$/.test(type))
      throw new FileError(file, `holds a PNG chunk ${JSON.stringify(type)}, which is none that pictures have`, {
        offset,
      })
    if (view.getUint32(end - 4) !== crc32(bytes.subarray(offset + 4, end - 4))) {
      throw new FileError(file, `is damaged: the checksum of PNG chunk ${JSON.stringify(type)} does not fit`, {
        offset,
      })
    }
    yield { type, data: bytes.subarray(offset + 8, end - 4), offset }
    if (type === 'IEND') return
    offset = end
  }
}

/** A PNG file from its chunks, given without IEND. */
export function writeChunks(chunks: readonly Pick<PngChunk, 'type' | 'data'>[]): Uint8Array {
  const all = [...chunks, { type: 'IEND', data: new Uint8Array(0) }]
  const out = new Uint8Array(all.reduce((sum, { data }) => sum + data.length + 12, signature.length))
  const view = new DataView(out.buffer)
  out.set(signature)
  let offset = signature.length
  for (const { type, data } of all) {
    view.setUint32(offset, data.length)
    for (let i = 0; i < 4; i++) out[offset + 4 + i] = type.charCodeAt(i)
    out.set(data, offset + 8)
    const end = offset + 8 + data.length
    view.setUint32(end, crc32(out.subarray(offset + 4, end)))
    offset = end + 4
  }
  return out
}
