import { combine } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { exponentialWeights } from '../exponential.js'
import { scale, withNoise } from '../model.js'
import type { AncestralOptions } from './ancestral.js'

/** Noise of a step that is asked for at more and more of its places: what was drawn fades, what is new comes to it. */
function growingNoise({ noise, eta = 1, noiseScale = 1 }: AncestralOptions, from: number) {
  let [at, held] = [from, undefined as Float32Array | undefined]
  return (x: Float32Array, to: number): Float32Array => {
    if (eta === 0) return x
    const h = Math.log(at / to)
    const added = Math.sqrt(-Math.expm1(-2 * eta * h))
    const drawn = noise(at, to)
    held = held ? combine(Math.exp(-eta * h), held, added, drawn) : scale(drawn, added)
    at = to
    return withNoise(x, to * noiseScale, held)
  }
}

/** From one level to another by some predictions of the image and their weights. */
function moved(
  x: Float32Array,
  [from, to]: readonly [number, number],
  eta: number,
  predictions: readonly (readonly [number, Float32Array])[],
): Float32Array {
  let out = scale(x, (to / from) ** (1 + eta))
  for (const [weight, x0] of predictions) out = combine(1, out, weight, x0)
  return out
}

/**
 * SEEDS-2 (Gonzalez et al. 2023), a stochastic exponential solver of two calls and two noises a step.
 *
 * Source: ComfyUI, comfy/k_diffusion/sampling.py, sample_seeds_2.
 */
export async function* seeds2(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  options: AncestralOptions,
): Sampling {
  const { eta = 1 } = options
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [sigmas[i]!, sigmas[i + 1]!]
    const x0 = await denoise(x, from)
    if (to === 0) x = x0
    else {
      const z = -(1 + eta) * Math.log(from / to)
      const noised = growingNoise(options, from)
      const middle = Math.sqrt(from * to)
      const half = exponentialWeights(z / 2)
      const between = await denoise(noised(moved(x, [from, middle], eta, [[half.value, x0]]), middle), middle)
      x = noised(moved(x, [from, to], eta, [[exponentialWeights(z).value, between]]), to)
    }
    yield { x, x0 }
  }
}

/**
 * SEEDS-3 (Gonzalez et al. 2023), of three calls and three noises a step.
 *
 * Source: ComfyUI, comfy/k_diffusion/sampling.py, sample_seeds_3.
 */
export async function* seeds3(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  options: AncestralOptions,
): Sampling {
  const { eta = 1 } = options
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [sigmas[i]!, sigmas[i + 1]!]
    const x0 = await denoise(x, from)
    if (to === 0) x = x0
    else {
      const z = -(1 + eta) * Math.log(from / to)
      const noised = growingNoise(options, from)
      const place = (share: number) => from * (to / from) ** share
      const [one, two] = [place(1 / 3), place(2 / 3)]
      const third = exponentialWeights(z / 3)
      const first = await denoise(noised(moved(x, [from, one], eta, [[third.value, x0]]), one), one)
      const ahead = exponentialWeights((2 * z) / 3)
      const intoSecond = [
        [ahead.value - 2 * ahead.first, x0],
        [2 * ahead.first, first],
      ] as const
      const second = await denoise(noised(moved(x, [from, two], eta, intoSecond), two), two)
      const whole = exponentialWeights(z)
      const intoEnd = [
        [whole.value - (3 / 2) * whole.first, x0],
        [(3 / 2) * whole.first, second],
      ] as const
      x = noised(moved(x, [from, to], eta, intoEnd), to)
    }
    yield { x, x0 }
  }
}
