import { FileError, LatentkitError } from '../errors.js'
import type { DecodedImage } from '../types.js'

/** The version that the tests run with; package.json's peerDependencies has the range. */
const wanted = 'sharp@0.35.5'

export async function decodeForeignImage(bytes: Uint8Array, file: string, maxPixels: number): Promise<DecodedImage> {
  const { default: sharp } = await import('sharp').catch((cause: unknown) => {
    throw new LatentkitError(
      `Cannot decode ${file}: pictures other than PNG need the package sharp, which could not be loaded. ` +
        `Run "npm install ${wanted}", or convert the picture to PNG`,
      { cause },
    )
  })
  try {
    const { data, info } = await sharp(bytes, { limitInputPixels: maxPixels, failOn: 'error', autoOrient: true })
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true })
    if (info.channels !== 3 && info.channels !== 4) throw new Error(`it has ${info.channels} channels`)
    return {
      data: new Uint8Array(data.buffer, data.byteOffset, data.length),
      width: info.width,
      height: info.height,
      channels: info.channels,
    }
  } catch (cause) {
    const reason = (cause as Error).message
    throw new FileError(file, `cannot be decoded as a picture: ${reason}; it may be damaged or too large`, { cause })
  }
}
