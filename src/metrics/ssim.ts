import { checkPair, type Raster } from './psnr.js'

/** How structural similarity is taken; by default as Wang et al. 2004 do. */
export interface SsimOptions {
  /** The span that the values may take: 255 for bytes. */
  readonly range?: number
  /** Gaussian: sigma 1.5, 11 taps (Wang et al. 2004); a number: a uniform window of that odd width. */
  readonly window?: 'gaussian' | number
  /** Divide covariances by n - 1 instead of n; by default for uniform windows. */
  readonly sampleCovariance?: boolean
}

/** Similarity as one number (the mean over channels and pixels, without a border of half a window) and by pixel. */
export interface Ssim {
  readonly mean: number
  readonly byChannel: readonly number[]
  /** A map [height, width] for each channel. */
  readonly maps: readonly Float64Array[]
}

/**
 * Structural similarity of two pictures, 1 for equal ones.
 *
 * Throws RangeError where sizes differ or the window does not fit. Source: skimage.metrics.structural_similarity.
 */
export function ssim(a: Raster, b: Raster, options: SsimOptions = {}): Ssim {
  checkPair(a, b)
  const { range = 255, window = 'gaussian', sampleCovariance = window !== 'gaussian' } = options
  const taps = window === 'gaussian' ? gaussian(1.5, 5) : new Array<number>(window).fill(1 / window)
  const { width, height } = a
  if (taps.length % 2 === 0 || taps.length > Math.min(width, height)) {
    throw new RangeError(`An SSIM window of ${taps.length} must be odd and fit into ${width}x${height} pixels`)
  }
  const count = taps.length ** 2
  const norm = sampleCovariance ? count / (count - 1) : 1
  const c1 = (0.01 * range) ** 2
  const c2 = (0.03 * range) ** 2
  const blur = (plane: Float64Array) => filter(filter(plane, width, height, taps, 1), width, height, taps, width)
  const product = (x: Float64Array, y: Float64Array) => x.map((value, i) => value * y[i]!)
  const maps: Float64Array[] = []
  const byChannel: number[] = []
  for (let c = 0; c < a.channels; c++) {
    const [x, y] = [channel(a, c), channel(b, c)]
    const [mx, my] = [blur(x), blur(y)]
    const [xx, yy, xy] = [blur(product(x, x)), blur(product(y, y)), blur(product(x, y))]
    const map = mx.map((ux, i) => {
      const uy = my[i]!
      const vx = norm * (xx[i]! - ux * ux)
      const vy = norm * (yy[i]! - uy * uy)
      const vxy = norm * (xy[i]! - ux * uy)
      return ((2 * ux * uy + c1) * (2 * vxy + c2)) / ((ux * ux + uy * uy + c1) * (vx + vy + c2))
    })
    maps.push(map)
    byChannel.push(innerMean(map, width, height, (taps.length - 1) / 2))
  }
  return { mean: byChannel.reduce((sum, value) => sum + value, 0) / byChannel.length, byChannel, maps }
}

function gaussian(sigma: number, radius: number): number[] {
  const taps = Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)))
  const sum = taps.reduce((total, tap) => total + tap, 0)
  return taps.map(tap => tap / sum)
}

function channel({ data, width, height, channels }: Raster, c: number): Float64Array {
  return Float64Array.from({ length: width * height }, (_, i) => data[i * channels + c]!)
}

/** One pass along x (step 1) or y (step width), mirrored at the edges with the edge pixel twice (scipy's "reflect"). */
function filter(plane: Float64Array, width: number, height: number, taps: number[], step: number): Float64Array {
  const out = new Float64Array(plane.length)
  const radius = (taps.length - 1) / 2
  const length = step === 1 ? width : height
  for (let i = 0; i < plane.length; i++) {
    const at = step === 1 ? i % width : Math.floor(i / width)
    let sum = 0
    for (let k = -radius; k <= radius; k++) {
      const to = at + k
      const mirrored = to < 0 ? -1 - to : to >= length ? 2 * length - 1 - to : to
      sum += taps[k + radius]! * plane[i + (mirrored - at) * step]!
    }
    out[i] = sum
  }
  return out
}

function innerMean(map: Float64Array, width: number, height: number, border: number): number {
  let sum = 0
  for (let y = border; y < height - border; y++) {
    for (let x = border; x < width - border; x++) sum += map[y * width + x]!
  }
  return sum / ((width - 2 * border) * (height - 2 * border))
}
