import { combine } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'

export interface SinglestepOptions {
  /** 1 to 3: network calls that a whole step takes. */
  readonly order?: number | undefined
  readonly solver?: 'midpoint' | 'heun' | undefined
  /** Whether a number of levels that `order` divides ends in shorter steps too, as an end at a clean image needs. */
  readonly lowerOrderFinal?: boolean | undefined
}

/**
 * DPM-Solver++ within single steps (Lu et al. 2022b, algorithm 1 is its 2S): every `order` levels make one step, in
 * which the calls at the levels between refine each other; the last steps are shorter.
 *
 * Source: diffusers, scheduling_dpmsolver_singlestep.py, with `lower_order_final`.
 */
export async function* dpmppSinglestep(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  { order = 2, solver = 'midpoint', lowerOrderFinal = true }: SinglestepOptions = {},
): Sampling {
  let i = 0
  for (const length of stepLengths(sigmas.length - 1, order, lowerOrderFinal)) {
    const start = x
    const predictions: Float32Array[] = []
    for (let k = 1; k <= length; k++) {
      const x0 = await denoise(x, sigmas[i + k - 1]!)
      predictions.push(x0)
      x = refined(start, predictions, Array.from(sigmas).slice(i, i + k + 1), solver)
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
  predictions: readonly Float32Array[],
  sigmas: readonly number[],
  solver: 'midpoint' | 'heun',
): Float32Array {
  const [from, to] = [sigmas[0]!, sigmas.at(-1)!]
  const [m0, m1, m2] = predictions as [Float32Array, Float32Array?, Float32Array?]
  if (to === 0) return predictions.at(-1)!
  const h = Math.log(from / to)
  const phi1 = -Math.expm1(-h)
  const phi2 = 1 - phi1 / h
  const change = (m: Float32Array, level: number) => {
    const r = Math.log(from / sigmas[level]!) / h
    return { r, d: combine(1 / r, m, -1 / r, m0) }
  }
  x = combine(to / from, x, phi1, m0)
  if (!m1) return x
  const first = change(m1, 1)
  if (!m2) return combine(1, x, solver === 'midpoint' ? phi1 / 2 : phi2, first.d)
  const second = change(m2, 2)
  if (solver === 'midpoint') return combine(1, x, phi2, second.d)
  const gap = second.r - first.r
  const slope = combine(second.r / gap, first.d, -first.r / gap, second.d)
  const bend = combine(2 / gap, second.d, -2 / gap, first.d)
  return combine(1, combine(1, x, phi2, slope), 1 / 2 - phi2 / h, bend)
}
