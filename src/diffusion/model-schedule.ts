import { type BetaSchedule, cumulativeAlphas, makeBetas } from './betas.js'
import { type Parameterization, rescaleZeroTerminalSnr } from './snr.js'

/** What a model predicts: `flow` is noise - image, the velocity of a rectified flow (Liu et al. 2022). */
export type ModelPrediction = Parameterization | 'flow'

/** How a model was noised in training. */
export interface ModelNoise extends BetaSchedule {
  readonly parameterization: ModelPrediction
  readonly zero_terminal_snr?: boolean
}

/** How much of image and noise there is at each timestep. */
export interface ModelSchedule {
  /** Of the image, in the coordinates that the network sees. */
  readonly alphas: Float64Array
  /** Of the noise. */
  readonly sigmas: Float64Array
  /** The same as shares of the image's variance in variance-preserving coordinates, which samplers work in. */
  readonly alphasCumprod: Float64Array
}

/**
 * The schedule of a model. A rectified flow mixes (1 - s) image + s noise with s = 1/T, 2/T, ... 1; scaled to unit
 * variance that is a schedule like any other, which ends without any signal.
 */
export function modelSchedule(noise: ModelNoise): ModelSchedule {
  if (noise.parameterization === 'flow') {
    const { timesteps } = noise
    const sigmas = Float64Array.from({ length: timesteps }, (_, i) => (i + 1) / timesteps)
    const alphas = sigmas.map(s => 1 - s)
    return { alphas, sigmas, alphasCumprod: alphas.map((a, i) => a ** 2 / (a ** 2 + sigmas[i]! ** 2)) }
  }
  const betas = makeBetas(noise)
  const alphasCumprod = cumulativeAlphas(
    noise.zero_terminal_snr ? rescaleZeroTerminalSnr(Float32Array.from(betas)) : betas,
  )
  return {
    alphas: alphasCumprod.map(Math.sqrt),
    sigmas: alphasCumprod.map(bar => Math.sqrt(1 - bar)),
    alphasCumprod,
  }
}
