import { decodeForeignImage } from '#platform'
import { FileError } from '../platform/errors.js'
import { checkImage, type Image } from './image.js'
import { isPng } from './png-chunks.js'
import { decodePng, defaultMaxPixels } from './png-decode.js'

/** What is decoded, by file name. */
export const imageExtensions = ['.png', '.jpg', '.jpeg', '.webp', '.gif', '.avif'] as const

/** How files begin; what matches none is never handed to a codec, which may know far more kinds than are wanted. */
const signatures: readonly ((text: string) => boolean)[] = [
  text => text.startsWith('\xff\xd8\xff'),
  text => text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP',
  text => text.startsWith('GIF8'),
  text => text.slice(4, 12) === 'ftypavif' || text.slice(4, 12) === 'ftypavis',
]

/**
 * Decodes a PNG, JPEG, WebP, GIF (its first picture) or AVIF file: RGB, or RGBA where anything is transparent.
 *
 * PNG needs nothing; the others need the package sharp in Node (a LatentkitError says how to install it) and are decoded
 * by the browser itself there. Throws FileError naming `file` where it is damaged, cut off, of another kind or larger
 * than `maxPixels`.
 *
 * @example const picture = flatten(await decodeImage(await readBytes('cat.jpg'), { file: 'cat.jpg' }))
 */
export async function decodeImage(
  bytes: Uint8Array,
  { file = 'picture', maxPixels = defaultMaxPixels }: { file?: string; maxPixels?: number } = {},
): Promise<Image> {
  const begin = String.fromCharCode(...bytes.subarray(0, 16))
  if (!isPng(bytes) && !signatures.some(fits => fits(begin))) {
    const found = bytes.length === 0 ? 'is empty' : 'is no picture of a known kind'
    throw new FileError(file, `${found}; PNG, JPEG, WebP, GIF and AVIF are read`)
  }
  const image = isPng(bytes)
    ? await decodePng(bytes, { file, maxPixels })
    : await decodeForeignImage(bytes, file, maxPixels)
  checkImage(image)
  return dropOpaqueAlpha(image)
}

function dropOpaqueAlpha(image: Image): Image {
  const { data, width, height, channels } = image
  if (channels === 3) return image
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return image
  return {
    data: new Uint8Array(width * height * 3).map((_, i) => data[i + Math.floor(i / 3)]!),
    width,
    height,
    channels: 3,
  }
}
