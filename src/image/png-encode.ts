import { deflateZlib } from '#platform'
import { checkImage, type Image } from './image.js'
import { writeChunks } from './png-chunks.js'
import { paeth } from './png-decode.js'
import { textChunk } from './png-text.js'

/**
 * Encodes a picture as PNG, with texts by keyword (A1111's settings go under `parameters`).
 *
 * @example const bytes = await encodePng(picture, { text: { parameters: formatParameters({ prompt, seed: 7 }) } })
 */
export async function encodePng(
  image: Image,
  { text = {} }: { text?: Readonly<Record<string, string>> } = {},
): Promise<Uint8Array> {
  checkImage(image)
  const header = new Uint8Array(13)
  const view = new DataView(header.buffer)
  view.setUint32(0, image.width)
  view.setUint32(4, image.height)
  // 8 bits of RGB or RGBA; packing, filter and interlacing 0.
  header.set([8, image.channels === 3 ? 2 : 6], 8)
  return writeChunks([
    { type: 'IHDR', data: header },
    ...Object.entries(text).map(([keyword, value]) => textChunk(keyword, value)),
    { type: 'IDAT', data: await deflateZlib(filterRows(image)) },
  ])
}

/** Each row by the filter whose differences are smallest in sum, the choice that PNG 12.7 recommends. */
function filterRows({ data, width, height, channels }: Image): Uint8Array {
  const rowBytes = width * channels
  const out = new Uint8Array(height * (rowBytes + 1))
  const rows = Array.from({ length: 5 }, () => new Uint8Array(rowBytes))
  for (let y = 0; y < height; y++) {
    const at = y * rowBytes
    const costs = [0, 0, 0, 0, 0]
    for (let i = 0; i < rowBytes; i++) {
      const value = data[at + i]!
      const left = i >= channels ? data[at + i - channels]! : 0
      const up = y > 0 ? data[at + i - rowBytes]! : 0
      const corner = i >= channels && y > 0 ? data[at + i - rowBytes - channels]! : 0
      const guesses = [0, left, up, (left + up) >> 1, paeth(left, up, corner)]
      for (let filter = 0; filter < 5; filter++) {
        const difference = (value - guesses[filter]!) & 255
        rows[filter]![i] = difference
        costs[filter]! += difference < 128 ? difference : 256 - difference
      }
    }
    const best = costs.indexOf(Math.min(...costs))
    out[y * (rowBytes + 1)] = best
    out.set(rows[best]!, y * (rowBytes + 1) + 1)
  }
  return out
}
