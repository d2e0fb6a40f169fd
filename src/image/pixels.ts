import { checkImage, type Image } from './image.js'

/**
 * How a network's output becomes bytes: CompVis cuts 255*x off (scripts/txt2img.py), diffusers rounds half to even
 * (image_processor.py, numpy_to_pil).
 */
export type ByteRounding = 'truncate' | 'round'

/** Values in [-1, 1] (clamped) to bytes. */
export function toBytes(values: Float32Array, rounding: ByteRounding = 'round'): Uint8Array {
  const out = new Uint8Array(values.length)
  const cut = rounding === 'truncate' ? Math.floor : roundHalfToEven
  for (let i = 0; i < values.length; i++) out[i] = cut(unitScale(values[i]!))
  return out
}

/** [-1, 1] to [0, 255] in single precision, as the references compute it; NaN becomes 0. */
function unitScale(value: number): number {
  const unit = Math.fround(Math.fround(value * 0.5) + 0.5)
  return unit > 0 ? Math.fround(255 * Math.min(unit, 1)) : 0
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor
}

/** Bytes to values in [-1, 1], x / 127.5 - 1 (ldm/data/base.py; img2img.py's 2 * (x / 255) - 1 is the same to rounding). */
export function fromBytes(bytes: Uint8Array | Uint8ClampedArray): Float32Array {
  const out = new Float32Array(bytes.length)
  for (let i = 0; i < bytes.length; i++) out[i] = bytes[i]! / 127.5 - 1
  return out
}

/** Writes an RGB picture as values in [-1, 1], [3, height, width], into `out` from `offset` on. */
export function writePixels(image: Image, out: Float32Array, offset = 0): void {
  checkImage(image)
  if (image.channels !== 3) throw new TypeError('An image with alpha has no pixels to give a network; flatten it first')
  const area = image.width * image.height
  if (offset < 0 || offset + 3 * area > out.length) {
    throw new RangeError(`Pixels [3, ${image.height}, ${image.width}] do not fit at ${offset} of ${out.length} values`)
  }
  const { data } = image
  for (let i = 0, from = 0; i < area; i++) {
    out[offset + i] = data[from++]! / 127.5 - 1
    out[offset + area + i] = data[from++]! / 127.5 - 1
    out[offset + 2 * area + i] = data[from++]! / 127.5 - 1
  }
}

/** An RGB picture as values in [-1, 1], [3, height, width]. */
export function imageToPixels(image: Image): Float32Array {
  const out = new Float32Array(3 * image.width * image.height)
  writePixels(image, out)
  return out
}

/**
 * The `index`-th picture of values [batch, 3, height, width] in [-1, 1] (clamped).
 *
 * @example const picture = pixelsToImage(decoded, 512, 512)
 */
export function pixelsToImage(
  pixels: Float32Array,
  width: number,
  height: number,
  { index = 0, rounding = 'round' }: { index?: number; rounding?: ByteRounding } = {},
): Image {
  const area = width * height
  if (pixels.length < (index + 1) * 3 * area) {
    throw new RangeError(
      `Picture ${index} of [batch, 3, ${height}, ${width}] was asked for; there are ${pixels.length} values`,
    )
  }
  const planar = toBytes(pixels.subarray(index * 3 * area, (index + 1) * 3 * area), rounding)
  const data = new Uint8Array(3 * area)
  for (let i = 0, to = 0; i < area; i++) {
    data[to++] = planar[i]!
    data[to++] = planar[area + i]!
    data[to++] = planar[2 * area + i]!
  }
  return { data, width, height, channels: 3 }
}
