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

/** Predictions of the image, and what each weighs. */
type Weighed = readonly (readonly [number, Float32Array])[]

/** A step, with all that its calls go by. */
interface SeedsStep {
  readonly from: number
  readonly to: number
  /** The prediction at its start. */
  readonly x0: Float32Array
  /** -(1 + eta) h, where h is its length in log SNR. */
  readonly z: number
  /** The batch at a level on the way, moved there by predictions, with its noise. */
  at(level: number, predictions: Weighed): Float32Array
}

/** Goes down the levels by steps of some calls each; a last one to a clean image is the prediction. */
async function* stepping(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  options: AncestralOptions,
  taken: (step: SeedsStep) => Promise<Float32Array>,
): Sampling {
  const { eta = 1 } = options
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [sigmas[i]!, sigmas[i + 1]!]
    const start = x
    const x0 = await denoise(x, from)
    const noised = growingNoise(options, from)
    const at = (level: number, predictions: Weighed) => {
      const scaled = scale(start, (level / from) ** (1 + eta))
      return noised(
        predictions.reduce((sum, [weight, prediction]) => combine(1, sum, weight, prediction), scaled),
        level,
      )
    }
    x = to === 0 ? x0 : await taken({ from, to, x0, z: -(1 + eta) * Math.log(from / to), at })
    yield { x, x0 }
  }
}

/**
 * SEEDS-2 (Gonzalez et al. 2023), a stochastic exponential solver of two calls and two noises a step.
 *
 * Source: ComfyUI, comfy/k_diffusion/sampling.py, sample_seeds_2.
 */
export function seeds2(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  options: AncestralOptions,
): Sampling {
  return stepping(denoise, x, sigmas, options, async ({ from, to, x0, z, at }) => {
    const middle = Math.sqrt(from * to)
    const between = await denoise(at(middle, [[exponentialWeights(z / 2).value, x0]]), middle)
    return at(to, [[exponentialWeights(z).value, between]])
  })
}

/**
 * SEEDS-3 (Gonzalez et al. 2023), of three calls and three noises a step.
 *
 * Source: ComfyUI, comfy/k_diffusion/sampling.py, sample_seeds_3.
 */
export function seeds3(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  options: AncestralOptions,
): Sampling {
  return stepping(denoise, x, sigmas, options, async ({ from, to, x0, z, at }) => {
    const place = (share: number) => from * (to / from) ** share
    const [one, two] = [place(1 / 3), place(2 / 3)]
    const first = await denoise(at(one, [[exponentialWeights(z / 3).value, x0]]), one)
    const ahead = exponentialWeights((2 * z) / 3)
    const intoSecond = [
      [ahead.value - 2 * ahead.first, x0],
      [2 * ahead.first, first],
    ] as const
    const second = await denoise(at(two, intoSecond), two)
    const whole = exponentialWeights(z)
    return at(to, [
      [whole.value - (3 / 2) * whole.first, x0],
      [(3 / 2) * whole.first, second],
    ])
  })
}
