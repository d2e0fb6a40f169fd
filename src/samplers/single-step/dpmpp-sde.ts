import { combine } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { withNoise } from '../model.js'
import { type AncestralOptions, ancestralSplit } from './ancestral.js'
import { eulerStep } from './euler.js'

const { fround } = Math

/** Times and levels as k-diffusion's float32 rounds them on the way: a Brownian path is asked at these levels. */
const timeOf = (sigma: number) => fround(-fround(Math.log(sigma)))
const levelOf = (t: number) => fround(Math.exp(-t))

export interface DpmppSdeOptions extends AncestralOptions {
  /** Where within a step, in log sigma, the network is asked again. */
  readonly r?: number | undefined
}

/** DPM-Solver++ as a stochastic solver, two calls and two noises a step (k-diffusion, sample_dpmpp_sde). */
export async function* dpmppSde(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  { noise, eta = 1, noiseScale = 1, r = 1 / 2 }: DpmppSdeOptions,
): Sampling {
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [sigmas[i]!, sigmas[i + 1]!]
    const x0 = await denoise(x, from)
    if (to === 0) x = x0
    else {
      const [t, next] = [timeOf(from), timeOf(to)]
      const middle = levelOf(fround(t + fround(fround(next - t) * r)))
      const half = ancestralSplit(from, middle, eta)
      const between = withNoise(eulerStep(x, x0, from, half.down), half.up * noiseScale, noise(levelOf(t), middle))
      const whole = ancestralSplit(from, to, eta)
      const mixed = combine(1 - 1 / (2 * r), x0, 1 / (2 * r), await denoise(between, middle))
      x = withNoise(eulerStep(x, mixed, from, whole.down), whole.up * noiseScale, noise(levelOf(t), levelOf(next)))
    }
    yield { x, x0 }
  }
}
