import { crop, type Image } from './image.js'
import { resizeImage } from './resize.js'

/** The middle of a picture as a square of `size`, its shorter side resized to that. Source: CLIP's _transform. */
export function squareOf(image: Image, size: number): Image {
  const scale = size / Math.min(image.width, image.height)
  const [width, height] = [image.width, image.height].map(side => Math.max(size, Math.floor(side * scale))) as [
    number,
    number,
  ]
  const resized = resizeImage(image, width, height)
  return crop(resized, Math.round((width - size) / 2), Math.round((height - size) / 2), size, size)
}
