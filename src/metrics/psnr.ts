/** Numbers of a picture, [height, width, channels]: bytes or floats. */
export interface Raster {
  readonly data: ArrayLike<number>
  readonly width: number
  readonly height: number
  readonly channels: number
}

/** Throws a RangeError unless both pictures have one size and their data fit it. */
export function checkPair(a: Raster, b: Raster): void {
  const size = (x: Raster) => `[${x.height}, ${x.width}, ${x.channels}]`
  const fits = (x: Raster) => x.data.length === x.height * x.width * x.channels && x.data.length > 0
  if (size(a) !== size(b) || !fits(a) || !fits(b)) {
    throw new RangeError(
      `Cannot compare pictures ${size(a)} (${a.data.length} values) and ${size(b)} (${b.data.length}); they must be of one size`,
    )
  }
}

/** Mean squared error of two pictures. */
export function meanSquaredError(a: Raster, b: Raster): number {
  checkPair(a, b)
  let sum = 0
  for (let i = 0; i < a.data.length; i++) sum += (a.data[i]! - b.data[i]!) ** 2
  return sum / a.data.length
}

/**
 * Peak signal-to-noise ratio in dB (Infinity for equal pictures); `range` is the span that the values may take: 255 for
 * bytes, 2 for pixels in [-1, 1].
 *
 * Source: skimage.metrics.peak_signal_noise_ratio.
 */
export function psnr(a: Raster, b: Raster, range = 255): number {
  return 10 * Math.log10(range ** 2 / meanSquaredError(a, b))
}
