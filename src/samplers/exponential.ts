/*
 * The linear part of the probability flow is solved exactly by exponential integrators (Lu et al. 2022, Zhang & Chen
 * 2022): what is left is an exponential times a polynomial through predictions.
 */

/** Weights of a prediction and its first two (scaled) derivatives in an exactly integrated step. */
export interface ExponentialWeights {
  readonly value: number
  readonly first: number
  readonly second: number
}

/**
 * Weights of a step of size h in log SNR, in coordinates of image + sigma noise: z = -h integrates predictions of the
 * image, z = h those of the noise (times the level that the step ends at).
 *
 * Source: Lu et al. 2022b, eq. 9 with its Taylor expansion to second order.
 */
export function exponentialWeights(z: number, bend = 1 / 2): ExponentialWeights {
  // A step to where it starts.
  if (z === 0) return { value: 0, first: 0, second: 0 }
  const value = -Math.expm1(z)
  const first = 1 + value / z
  return { value, first, second: bend + first / z }
}
