import { combine } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { exponentialWeights } from '../exponential.js'
import { slope as noiseOf, withNoise } from '../model.js'
import type { AncestralOptions } from './ancestral.js'

export interface SinglestepOptions extends Partial<AncestralOptions> {
  /** 1 to 3: network calls that a whole step takes. */
  readonly order?: number | undefined
  readonly solver?: 'midpoint' | 'heun' | undefined
  /** Whether a number of levels that `order` divides ends in shorter steps too, as an end at a clean image needs. */
  readonly lowerOrderFinal?: boolean | undefined
  /** Whether it works on predictions of the image (DPM-Solver++) or of the noise (DPM-Solver, without `eta`). */
  readonly data?: boolean | undefined
  /** Constant in the weight of the second change in steps of third order: 1/2 by the integral. */
  readonly bend?: number | undefined
}

/**
 * DPM-Solver++ within single steps (Lu et al. 2022b, algorithm 1 is its 2S): every `order` levels make one step, in
 * which the calls at the levels between refine each other; the last steps are shorter. With `eta` 1 its SDE form, which
 * adds noise at every level.
 *
 * Source: diffusers, scheduling_dpmsolver_singlestep.py.
 */
export async function* dpmppSinglestep(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  options: SinglestepOptions = {},
): Sampling {
  const { order = 2, lowerOrderFinal = true, data = true, eta = 0, noise, noiseScale = 1 } = options
  if (eta > 0 && !noise) throw new TypeError(`DPM-Solver++ with eta ${eta} needs a source of noise`)
  if (!data && sigmas[sigmas.length - 1] === 0) {
    throw new RangeError('DPM-Solver over predicted noise cannot end at noise level 0; end at the lowest level')
  }
  let i = 0
  for (const length of stepLengths(sigmas.length - 1, order, lowerOrderFinal)) {
    const start = x
    const predictions: Float32Array[] = []
    for (let k = 1; k <= length; k++) {
      const [from, to] = [sigmas[i + k - 1]!, sigmas[i + k]!]
      const x0 = await denoise(x, from)
      predictions.push(data ? x0 : noiseOf(x, x0, from))
      if (to === 0) x = x0
      else {
        x = refined(start, predictions, Array.from(sigmas).slice(i, i + k + 1), options)
        const added = to * Math.sqrt(-Math.expm1(-2 * eta * Math.log(sigmas[i]! / to)))
        if (eta > 0) x = withNoise(x, added * noiseScale, noise!(from, to))
      }
      yield { x, x0 }
    }
    i += length
  }
}

/** Whole steps, the rest before the last level in shorter ones, the last level by itself. */
function stepLengths(levels: number, order: number, lowerOrderFinal: boolean): number[] {
  const rest = levels % order
  const whole = new Array<number>(Math.floor(levels / order)).fill(order)
  if (rest > 0) return [...whole, rest]
  return lowerOrderFinal && order > 1 ? [...whole.slice(1), order - 1, 1] : whole
}

/** From the first level to the last by the predictions at all levels between. */
function refined(
  x: Float32Array,
  [m0, m1, m2]: readonly (Float32Array | undefined)[],
  sigmas: readonly number[],
  { solver = 'midpoint', data = true, eta = 0, bend }: SinglestepOptions,
): Float32Array {
  const [from, to] = [sigmas[0]!, sigmas.at(-1)!]
  const h = Math.log(from / to)
  const weights = exponentialWeights(data ? -(1 + eta) * h : h, bend)
  const scale = data ? 1 : to
  const change = (m: Float32Array, level: number) => {
    const r = Math.log(from / sigmas[level]!) / h
    return { r, d: combine(1 / r, m, -1 / r, m0!) }
  }
  x = combine(data ? (to / from) * Math.exp(-eta * h) : 1, x, scale * weights.value, m0!)
  if (!m1) return x
  const first = change(m1, 1)
  if (!m2) return combine(1, x, scale * (solver === 'midpoint' ? weights.value / 2 : weights.first), first.d)
  const second = change(m2, 2)
  if (solver === 'midpoint') return combine(1, x, scale * weights.first, second.d)
  const gap = second.r - first.r
  const slope = combine(second.r / gap, first.d, -first.r / gap, second.d)
  const curve = combine(2 / gap, second.d, -2 / gap, first.d)
  return combine(1, combine(1, x, scale * weights.first, slope), scale * weights.second, curve)
}
