import { combine, solveLinear } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { slope } from '../model.js'
import { type MultistepOptions, multistepOrder } from './orders.js'

export interface UnipcOptions extends MultistepOptions {
  /** B(h) of the paper: h (`bh1`) or e^h - 1 (`bh2`). */
  readonly variant?: 'bh1' | 'bh2' | undefined
  /** Whether it works on predictions of the image or of the noise. */
  readonly data?: boolean | undefined
  /** Steps after which there is no correction. */
  readonly uncorrected?: readonly number[] | undefined
}

/**
 * UniPC (Zhao et al. 2023, algorithms 5 to 8): the network's answer at a step's end first corrects that step, then
 * predicts the next; no call more than other multistep solvers.
 *
 * Source: diffusers, scheduling_unipc_multistep.py.
 */
export async function* unipc(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  options: UnipcOptions = {},
): Sampling {
  const { variant = 'bh2', data = true, uncorrected = [] } = options
  const predictions: Float32Array[] = []
  let start = x
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const x0 = await denoise(x, sigmas[i]!)
    const prediction = data ? x0 : slope(x, x0, sigmas[i]!)
    if (i > 0 && !uncorrected.includes(i - 1)) {
      const last = { sigmas, i: i - 1, order: multistepOrder(i - 1, sigmas, options), variant, data }
      x = update(start, [prediction, ...predictions], last)
    }
    predictions.unshift(prediction)
    start = x
    const next = { sigmas, i, order: multistepOrder(i, sigmas, options), variant, data }
    x = sigmas[i + 1] === 0 && data ? prediction : update(start, [undefined, ...predictions], next)
    yield { x, x0 }
  }
}

interface Update {
  readonly sigmas: ArrayLike<number>
  readonly i: number
  readonly order: number
  readonly variant: 'bh1' | 'bh2'
  readonly data: boolean
}

/** Step i from x by its predictions: the one at its end (the corrector has it), at its start, and those before. */
function update(
  x: Float32Array,
  [end, now, ...before]: readonly (Float32Array | undefined)[],
  { sigmas, i, order, variant, data }: Update,
): Float32Array {
  const [from, to] = [sigmas[i]!, sigmas[i + 1]!]
  const h = Math.log(from / to)
  const signed = data ? -h : h
  const bh = variant === 'bh1' ? signed : Math.expm1(signed)
  const weight = data ? -1 : -to
  const knots = Array.from({ length: order - 1 }, (_, k) => Math.log(from / sigmas[i - k - 1]!) / h)
  const weights = end ? solveWeights([...knots, 1], signed, bh) : predictorWeights(knots, signed, bh)
  let out = combine(data ? to / from : 1, x, weight * Math.expm1(signed), now!)
  for (const [k, knot] of knots.entries()) {
    out = combine(1, out, (weight * bh * weights[k]!) / knot, combine(1, before[k]!, -1, now!))
  }
  return end ? combine(1, out, weight * bh * weights.at(-1)!, combine(1, end, -1, now!)) : out
}

function predictorWeights(knots: readonly number[], h: number, bh: number): number[] {
  // The paper's degenerate case: one free weight is 1/2 whatever B(h).
  return knots.length === 1 ? [1 / 2] : solveWeights(knots, h, bh)
}

/** Solves R rho = b (eq. 12): sum of rho_k r_k^(n-1) = n! phi_(n+1)(h) h / B(h), n = 1 to the number of knots. */
function solveWeights(knots: readonly number[], h: number, bh: number): number[] {
  // A first-order corrector has one knot, and the weight 1/2 as well.
  if (knots.length === 1) return [1 / 2]
  let phi = Math.expm1(h) / h - 1
  let factorial = 1
  const rows = knots.map((_, n) => {
    const row = [...knots.map(r => r ** n), (phi * factorial) / bh]
    factorial *= n + 2
    phi = phi / h - 1 / factorial
    return row
  })
  return solveLinear(rows)
}
