import { combine, type Level, levelOfSigma, type Parameterization, toEpsilon, toX0 } from '../diffusion/index.js'
import type { Denoise, Predict } from './contract.js'

/** The raw prediction, in the model's own parameterisation, for x at a timestep. */
export type Network = (x: Float32Array, t: number) => Float32Array | Promise<Float32Array>

/** A prediction of the image, and another of the noise that is added to it again (CFG++). */
export interface Renoised {
  readonly image: Float32Array
  readonly noise: Float32Array
}

/** A network with its guidance, which may tell image and noise apart; the level is that of x, which t may only be near to. */
export type GuidedNetwork = (x: Float32Array, t: number, level: Level) => Answer | Promise<Answer>
type Answer = Float32Array | Renoised

/** How a network's predictions are read. */
export interface ModelOptions {
  readonly parameterization: Parameterization
  /** Keeps predicted images in range, such as `clipTo(1)`. */
  readonly limit?: ((x0: Float32Array) => Float32Array) | undefined
}

/** A network as variance-preserving samplers ask it. Limits change the image, not the noise, as in DDIM's reference. */
export function predictor(network: GuidedNetwork, { parameterization, limit }: ModelOptions): Predict {
  return async (x, level) => {
    const answer = await network(x, level.t, level)
    const { image, noise } = answer instanceof Float32Array ? { image: answer, noise: answer } : answer
    const x0 = toX0(image, x, level, parameterization)
    return { x0: limit ? limit(x0) : x0, epsilon: toEpsilon(noise, x, level, parameterization) }
  }
}

/** The same network as samplers over noise levels ask it; `timestepOf` tells the timestep of a level. */
export function denoiser(
  network: GuidedNetwork,
  timestepOf: (sigma: number) => number,
  { parameterization, limit }: ModelOptions,
): Denoise {
  return async (x, sigma) => {
    const level = levelOfSigma(sigma)
    const scaled = scale(x, level.alpha)
    const answer = await network(scaled, timestepOf(sigma), level)
    const x0 = toX0(answer instanceof Float32Array ? answer : answer.image, scaled, level, parameterization)
    return limit ? limit(x0) : x0
  }
}

/** x * factor. */
export function scale(x: Float32Array, factor: number): Float32Array {
  return x.map(value => value * factor)
}

/** x + amount * noise. */
export function withNoise(x: Float32Array, amount: number, noise: Float32Array): Float32Array {
  return combine(1, x, amount, noise)
}

/** dx / dsigma of the probability flow: the noise that x holds. */
export function slope(x: Float32Array, x0: Float32Array, sigma: number): Float32Array {
  return combine(1 / sigma, x, -1 / sigma, x0)
}
