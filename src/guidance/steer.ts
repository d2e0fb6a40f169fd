import { combine, type Level, type Parameterization } from '../diffusion/index.js'

/** A force on a noisy batch: the gradient by x of a distance that is to become small. */
export interface Force {
  /** [batch, ...] as the batch. */
  readonly gradient: Float32Array
  readonly weight: number
}

/** What a shift of the predicted noise, in units of sigma, does to the prediction in each parameterisation. */
const shiftOf = ({ alpha, sigma }: Level): Record<Parameterization, number> => ({
  epsilon: sigma,
  x0: -(sigma ** 2) / alpha,
  v: sigma / alpha,
})

/**
 * Guidance without retraining: the predicted noise becomes epsilon + sigma * weight * gradient, that is epsilon - sigma
 * grad log p(y | x) for a distance that is -log p (Rombach et al. 2022, eq. 14 and 15; Dhariwal and Nichol 2021,
 * algorithm 2), in whatever parameterisation the prediction is.
 *
 * Where there is hardly any signal the formula would move the expected image without bounds: it is moved by no more than
 * `most`, the root mean square over each image, in units of the latents' own deviation.
 */
export function steer(
  raw: Float32Array,
  level: Level,
  parameterization: Parameterization,
  forces: readonly Force[],
  { images, most = 1 }: { images: number; most?: number },
): Float32Array {
  if (level.alpha === 0) return raw
  const total = forces.reduce<Float32Array>(
    (sum, { gradient, weight }) => combine(1, sum, weight, gradient),
    new Float32Array(raw.length),
  )
  const size = raw.length / images
  const moved = level.sigma ** 2 / level.alpha
  const factor = shiftOf(level)[parameterization]
  const out = new Float32Array(raw.length)
  for (let start = 0; start < raw.length; start += size) {
    let squares = 0
    for (let i = start; i < start + size; i++) squares += total[i]! ** 2
    const shift = moved * Math.sqrt(squares / size)
    const scale = factor * (shift > most ? most / shift : 1)
    for (let i = start; i < start + size; i++) out[i] = raw[i]! + scale * total[i]!
  }
  return out
}
