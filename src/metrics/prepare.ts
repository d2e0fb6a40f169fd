import { type Image, imageToPixels, interpolate, resizeImage, resizePlanes, squareOf } from '../image/index.js'
import type { FeatureNetwork, Preparation } from '../perceptual/feature-networks.js'

/** A picture as a feature network wants it: [3, size, size]. */
export function prepare(
  image: Image,
  { size, preparation }: Pick<FeatureNetwork, 'size' | 'preparation'>,
): Float32Array {
  return preparations[preparation](image, size)
}

const preparations: Readonly<Record<Preparation, (image: Image, size: number) => Float32Array>> = {
  torch: (image, size) => interpolate(imageToPixels(image), image, { width: size, height: size }, { mode: 'bilinear' }),
  // Source: clean-fid, resize.py (PIL, not quantised) and inception_torchscript.py, whose input is (x - 128) / 128.
  clean(image, size) {
    const bytes = imageToPixels(image).map(value => (value + 1) * 127.5)
    return resizePlanes(bytes, image, size, size).map(value => (Math.min(Math.max(value, 0), 255) - 128) / 128)
  },
  pillow: (image, size) => imageToPixels(resizeImage(image, size, size, { filter: 'bilinear' })),
  crop: (image, size) => imageToPixels(squareOf(image, size)),
}
