/** Width and height in pixels. */
export interface Size {
  readonly width: number
  readonly height: number
}

/** Bytes from the beginning that hold the size of nearly every picture (of a JPEG, behind its EXIF data). */
export const sizeBytes = 2 ** 16

/**
 * The size of a PNG, JPEG, WebP, GIF or AVIF picture from its first bytes, before any turning by EXIF; undefined where
 * they do not tell.
 */
export function readSize(bytes: Uint8Array): Size | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const text = (from: number, length: number) => String.fromCharCode(...bytes.subarray(from, from + length))
  if (text(1, 3) === 'PNG' && bytes.length >= 24) return { width: view.getUint32(16), height: view.getUint32(20) }
  if (text(0, 4) === 'GIF8' && bytes.length >= 10)
    return { width: view.getUint16(6, true), height: view.getUint16(8, true) }
  if (text(0, 4) === 'RIFF' && text(8, 4) === 'WEBP' && bytes.length >= 30) return webpSize(view, text(12, 4))
  if (text(4, 8) === 'ftypavif') return avifSize(view)
  return bytes[0] === 0xff && bytes[1] === 0xd8 ? jpegSize(view) : undefined
}

/** Markers up to the frame header (ITU T.81, B.2.2), all of whose kinds have the size at the same place. */
function jpegSize(view: DataView): Size | undefined {
  for (let at = 2; at + 9 <= view.byteLength; ) {
    if (view.getUint8(at) !== 0xff) return undefined
    const marker = view.getUint8(at + 1)
    if (marker === 0xff) at++
    else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) }
    } else at += 2 + view.getUint16(at + 2)
  }
  return undefined
}

/** The extended, lossless and lossy forms (RFC 9649, 2.7, 3 and RFC 6386, 9.1). */
function webpSize(view: DataView, kind: string): Size | undefined {
  if (kind === 'VP8X') {
    const three = (at: number) => view.getUint16(at, true) + view.getUint8(at + 2) * 2 ** 16
    return { width: three(24) + 1, height: three(27) + 1 }
  }
  if (kind === 'VP8L') {
    const bits = view.getUint32(21, true)
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 }
  }
  if (kind !== 'VP8 ') return undefined
  return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff }
}

/** The first `ispe` box (ISO/IEC 23008-12, 6.5.3). */
function avifSize(view: DataView): Size | undefined {
  for (let at = 4; at + 16 <= view.byteLength; at++) {
    if (view.getUint32(at) === 0x69737065) return { width: view.getUint32(at + 8), height: view.getUint32(at + 12) }
  }
  return undefined
}
