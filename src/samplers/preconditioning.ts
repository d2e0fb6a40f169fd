import { combine } from '../diffusion/index.js'
import type { Denoise, Predict } from './contract.js'
import { type ModelOptions, type Network, scale } from './model.js'

/** A flow-matching network, which predicts noise - image for x = (1 - sigma) image + sigma noise (Lipman et al. 2023). */
export function flowPredictor(network: Network, limit?: ModelOptions['limit']): Predict {
  return async (x, { t, sigma }) => {
    const velocity = await network(x, t)
    const x0 = combine(1, x, -sigma, velocity)
    return { x0: limit ? limit(x0) : x0, epsilon: combine(1, x, 1 - sigma, velocity) }
  }
}

export interface EdmOptions {
  /** Spread of the training images. */
  readonly sigmaData: number
  /** The sign of what the network predicts: 1 as in the paper, -1 for v. */
  readonly sign: 1 | -1
  readonly limit?: ModelOptions['limit']
}

/** A network preconditioned by Karras et al. 2022, table 1: told ln(sigma) / 4, shown and scaled to unit variance. */
export function edmDenoiser(network: Network, { sigmaData, sign, limit }: EdmOptions): Denoise {
  return async (x, sigma) => {
    const total = Math.sqrt(sigma ** 2 + sigmaData ** 2)
    const raw = await network(scale(x, 1 / total), 0.25 * Math.log(sigma))
    const x0 = combine((sigmaData / total) ** 2, x, (sign * sigma * sigmaData) / total, raw)
    return limit ? limit(x0) : x0
  }
}
