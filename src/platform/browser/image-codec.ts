import { FileError } from '../errors.js'
import type { DecodedImage } from '../types.js'

export async function decodeForeignImage(bytes: Uint8Array, file: string, maxPixels: number): Promise<DecodedImage> {
  const bitmap = await createImageBitmap(new Blob([bytes as BlobPart])).catch((cause: unknown) => {
    throw new FileError(file, 'cannot be decoded as a picture; it may be damaged or of a kind this browser lacks', {
      cause,
    })
  })
  try {
    const { width, height } = bitmap
    if (width * height > maxPixels) {
      throw new FileError(file, `has ${width}x${height} pixels; at most ${maxPixels} are decoded`)
    }
    const context = new OffscreenCanvas(width, height).getContext('2d')
    if (!context) throw new FileError(file, 'cannot be decoded: this browser has no 2D canvas')
    context.drawImage(bitmap, 0, 0)
    return { data: context.getImageData(0, 0, width, height).data, width, height, channels: 4 }
  } finally {
    bitmap.close()
  }
}
