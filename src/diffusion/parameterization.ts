import type { Parameterization } from './snr.js'

/** Where a noised image stands: x = alpha * image + sigma * noise. */
export interface Level {
  readonly alpha: number
  readonly sigma: number
}

/** The level of a cumulative alpha: alpha^2 + sigma^2 = 1. */
export function vpLevel(alphaCumprod: number): Level {
  return { alpha: Math.sqrt(alphaCumprod), sigma: Math.sqrt(1 - alphaCumprod) }
}

/** The variance-preserving level that x / sqrt(1 + sigma^2) has. */
export function levelOfSigma(sigma: number): Level {
  const alpha = 1 / Math.sqrt(sigma * sigma + 1)
  return { alpha, sigma: sigma * alpha }
}

/** `a * x + b * y`, element by element in double precision. */
export function combine(a: number, x: Float32Array, b: number, y: Float32Array): Float32Array {
  const out = new Float32Array(x.length)
  for (let i = 0; i < out.length; i++) out[i] = a * x[i]! + b * y[i]!
  return out
}

/**
 * The clean image that a network's raw prediction for x means.
 *
 * At alpha = 0 (zero terminal signal) epsilon says nothing about the image: RangeError.
 * Source of v: Salimans & Ho 2022, appendix D.
 */
export function toX0(
  raw: Float32Array,
  x: Float32Array,
  { alpha, sigma }: Level,
  from: Parameterization,
): Float32Array {
  if (from === 'x0') return raw
  if (from === 'v') return combine(alpha, x, -sigma, raw)
  if (alpha === 0) {
    throw new RangeError(
      'Cannot recover the image from predicted noise where the signal is zero: a schedule with zero terminal SNR needs a model that predicts v or x0',
    )
  }
  return combine(1 / alpha, x, -sigma / alpha, raw)
}

/** The noise that a network's raw prediction for x means; at sigma = 0 there is none: RangeError for x0. */
export function toEpsilon(
  raw: Float32Array,
  x: Float32Array,
  { alpha, sigma }: Level,
  from: Parameterization,
): Float32Array {
  if (from === 'epsilon') return raw
  if (from === 'v') return combine(alpha, raw, sigma, x)
  if (sigma === 0) throw new RangeError('Cannot recover the noise of an image at sigma 0: it holds none')
  return combine(1 / sigma, x, -alpha / sigma, raw)
}

/** v of a raw prediction for x. */
export function toV(raw: Float32Array, x: Float32Array, level: Level, from: Parameterization): Float32Array {
  if (from === 'v') return raw
  const { alpha, sigma } = level
  return combine(alpha, toEpsilon(raw, x, level, from), -sigma, toX0(raw, x, level, from))
}

/** What the network should have predicted for x = alpha * x0 + sigma * epsilon: its training target. */
export function target(
  x0: Float32Array,
  epsilon: Float32Array,
  { alpha, sigma }: Level,
  to: Parameterization,
): Float32Array {
  if (to === 'x0') return x0
  if (to === 'epsilon') return epsilon
  return combine(alpha, epsilon, -sigma, x0)
}

/** A noised image: alpha * x0 + sigma * epsilon. */
export function addNoise(x0: Float32Array, epsilon: Float32Array, { alpha, sigma }: Level): Float32Array {
  return combine(alpha, x0, sigma, epsilon)
}
