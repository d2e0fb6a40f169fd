import { FileError } from '../platform/errors.js'
import type { PngChunk } from './png-chunks.js'

/** What IHDR says of a PNG picture. */
export interface PngHeader {
  readonly width: number
  readonly height: number
  /** Bits of one sample. */
  readonly depth: number
  readonly colour: 'grey' | 'rgb' | 'palette' | 'grey-alpha' | 'rgba'
  readonly interlaced: boolean
}

/** The kinds of colour by IHDR's number: samples a pixel and the depths allowed (PNG, table 11.1). */
const colours = {
  0: { colour: 'grey', samples: 1, depths: [1, 2, 4, 8, 16] },
  2: { colour: 'rgb', samples: 3, depths: [8, 16] },
  3: { colour: 'palette', samples: 1, depths: [1, 2, 4, 8] },
  4: { colour: 'grey-alpha', samples: 2, depths: [8, 16] },
  6: { colour: 'rgba', samples: 4, depths: [8, 16] },
} as const

/** Samples a pixel. */
export function samplesPerPixel({ colour }: PngHeader): number {
  return Object.values(colours).find(kind => kind.colour === colour)!.samples
}

/** Reads IHDR, the first chunk; FileError where it is missing, damaged or names a picture that is no PNG's. */
export function readHeader({ type, data, offset }: PngChunk, file: string): PngHeader {
  const refuse = (reason: string) => new FileError(file, `its PNG header ${reason}`, { offset })
  if (type !== 'IHDR' || data.length !== 13) throw refuse('is missing: the first chunk is no IHDR of 13 bytes')
  const view = new DataView(data.buffer, data.byteOffset, data.length)
  const [width, height] = [view.getUint32(0), view.getUint32(4)]
  if (width === 0 || height === 0) throw refuse(`gives a size of ${width}x${height}`)
  const depth = data[8]!
  const kind = colours[data[9] as keyof typeof colours]
  if (!kind || !(kind.depths as readonly number[]).includes(depth)) {
    throw refuse(`gives ${depth} bits of colour type ${data[9]}, which does not exist`)
  }
  if (data[10] !== 0 || data[11] !== 0 || data[12]! > 1) {
    throw refuse(`gives packing ${data[10]}, filter ${data[11]} and interlacing ${data[12]}; 0, 0 and 0 or 1 exist`)
  }
  return { width, height, depth, colour: kind.colour, interlaced: data[12] === 1 }
}
