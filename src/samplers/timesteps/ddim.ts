import { combine, type Step } from '../../diffusion/index.js'
import type { Before, Noise, Predict, Sampling } from '../contract.js'
import { withNoise } from '../model.js'

export interface DdimOptions {
  /** 0: deterministic; 1: as much noise as ancestral sampling. */
  readonly eta?: number | undefined
  readonly noise?: Noise | undefined
  readonly before?: Before | undefined
}

/** DDIM (Song et al. 2021, eq. 12 and 16). */
export async function* ddim(
  predict: Predict,
  x: Float32Array,
  steps: readonly Step[],
  { eta = 0, noise, before }: DdimOptions = {},
): Sampling {
  if (eta > 0 && !noise) throw new TypeError(`DDIM with eta ${eta} needs a source of noise`)
  for (const { from, to } of steps) {
    if (before) x = before(x, from)
    const { x0, epsilon } = await predict(x, from)
    const sigma = eta && eta * (to.sigma / from.sigma) * Math.sqrt(Math.max(1 - (from.alpha / to.alpha) ** 2, 0))
    x = combine(to.alpha, x0, Math.sqrt(Math.max(to.sigma ** 2 - sigma ** 2, 0)), epsilon)
    if (eta > 0) x = withNoise(x, sigma, noise!())
    yield { x, x0 }
  }
}
