import { checkImage, type Image } from './image.js'
import { antialiasTaps, applyTaps, applyTapsToBytes, edgeTaps, filters, type Taps } from './taps.js'

/** Pillow's resampling filters. */
export type ResizeFilter = keyof typeof filters | 'nearest'

/** What of a picture is resized, in pixels that may be fractions: [left, upper, right, lower]. */
export type Box = readonly [number, number, number, number]

export interface ResizeOptions {
  readonly filter?: ResizeFilter
  readonly box?: Box
}

/**
 * Resizes a picture, byte for byte as Pillow's Image.resize does: filters antialias when shrinking (nearest does not).
 *
 * Throws RangeError for sizes that are not whole and positive or a box outside the picture, TypeError for a picture
 * with alpha (flatten it first: mixing the colours of transparent pixels in would be wrong).
 *
 * @example const small = resizeImage(picture, 128, 128, { filter: 'lanczos' })
 */
export function resizeImage(image: Image, width: number, height: number, options: ResizeOptions = {}): Image {
  checkImage(image)
  if (image.channels !== 3) throw new TypeError('Cannot resize an image with alpha; flatten it first')
  const [across, down] = bothTaps(image, width, height, options)
  const rows = { outer: image.height, input: image.width, output: width, inner: 3 }
  const columns = { outer: 1, input: image.height, output: height, inner: width * 3 }
  const data = applyTapsToBytes(applyTapsToBytes(image.data, rows, across), columns, down)
  return { data, width, height, channels: 3 }
}

/** Resizes planes [count, height, width] as Pillow resizes float images: not clamped, not rounded. */
export function resizePlanes(
  data: Float32Array,
  from: { readonly width: number; readonly height: number },
  width: number,
  height: number,
  options: ResizeOptions = {},
): Float32Array {
  const planes = data.length / (from.width * from.height)
  if (!Number.isInteger(planes)) {
    throw new RangeError(`Cannot resize: ${data.length} values are no planes of ${from.width}x${from.height}`)
  }
  const [across, down] = bothTaps(from, width, height, options)
  const rows = { outer: planes * from.height, input: from.width, output: width, inner: 1 }
  const columns = { outer: planes, input: from.height, output: height, inner: width }
  return applyTaps(applyTaps(data, rows, across), columns, down)
}

function bothTaps(
  from: { readonly width: number; readonly height: number },
  width: number,
  height: number,
  { filter = 'bicubic', box = [0, 0, from.width, from.height] }: ResizeOptions,
): [Taps, Taps] {
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new RangeError(`Cannot resize to ${width}x${height}; width and height must be whole and positive`)
  }
  const [left, upper, right, lower] = box
  if (!(left >= 0 && upper >= 0 && left < right && upper < lower && right <= from.width && lower <= from.height)) {
    throw new RangeError(`Cannot resize the box ${box.join(', ')} of a picture of ${from.width}x${from.height} pixels`)
  }
  return [axisTaps(filter, from.width, width, left, right), axisTaps(filter, from.height, height, upper, lower)]
}

function axisTaps(filter: ResizeFilter, input: number, output: number, start: number, end: number): Taps {
  const scale = (end - start) / output
  if (filter !== 'nearest') return antialiasTaps(filters[filter], input, output, start, scale)
  return edgeTaps(input, output, 1, i => [[Math.floor(start + (i + 0.5) * scale), 1]])
}
