import { crop, type Image, imageToPixels, interpolate, resizeImage, resizePlanes } from '../image/index.js'
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
  crop(image, size) {
    const scale = size / Math.min(image.width, image.height)
    const [width, height] = [image.width, image.height].map(side => Math.max(size, Math.floor(side * scale))) as [
      number,
      number,
    ]
    const resized = resizeImage(image, width, height)
    return imageToPixels(crop(resized, Math.round((width - size) / 2), Math.round((height - size) / 2), size, size))
  },
}
