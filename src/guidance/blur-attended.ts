/** How much each position of a map is attended to, [batch, h, w]: 1 in the mean. */
export interface Attended {
  readonly data: Float32Array
  readonly shape: readonly [number, number, number]
}

/** Latents [batch, channels, height, width], and what is attended to in them. */
export interface AttendedLatents {
  readonly x0: Float32Array
  readonly shape: readonly [number, number, number, number]
  /** Of a map that may be smaller. */
  readonly attended: Attended
  /** Standard deviation of the blur, in latents. */
  readonly deviation: number
}

/** How far the blur reaches to either side. */
const reach = 4

/**
 * Latents blurred where they are attended to more than elsewhere: what a network knows least of is taken from them.
 * Sources: Hong et al. 2023, "Improving sample quality of diffusion models using self-attention guidance", eq. 9 and 10;
 * diffusers, pipeline_stable_diffusion_sag.py, sag_masking and gaussian_blur_2d.
 */
export function blurAttended({ x0, shape, attended, deviation }: AttendedLatents): Float32Array {
  const [, channels, height, width] = shape
  const [, h, w] = attended.shape
  const blurred = alongRows(alongRows(x0, width, 1, deviation), height, width, deviation)
  const area = height * width
  return x0.map((value, i) => {
    const [image, y, x] = [Math.floor(i / (channels * area)), Math.floor((i % area) / width), i % width]
    const place = image * h * w + Math.floor((y * h) / height) * w + Math.floor((x * w) / width)
    return attended.data[place]! > 1 ? blurred[i]! : value
  })
}

/** A Gaussian along one axis, of so many places that lie `step` apart; beyond the ends the inside is mirrored. */
function alongRows(data: Float32Array, length: number, step: number, deviation: number): Float32Array {
  const weights = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-0.5 * ((i - reach) / deviation) ** 2))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return data.map((_, i) => {
    const place = Math.floor(i / step) % length
    return weights.reduce((sum, weight, k) => {
      const other = mirrored(place + k - reach, length)
      return sum + (weight / total) * data[i + (other - place) * step]!
    }, 0)
  })
}

/** A place beyond the ends, mirrored at them. */
function mirrored(place: number, length: number): number {
  const period = Math.max(1, 2 * (length - 1))
  const inside = ((place % period) + period) % period
  return Math.min(inside, period - inside)
}
