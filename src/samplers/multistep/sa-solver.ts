import { combine, solveLinear } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { scale, withNoise } from '../model.js'
import type { AncestralOptions } from '../single-step/ancestral.js'

export interface SaSolverOptions extends Omit<AncestralOptions, 'eta'> {
  /** How stochastic a step is that ends at a level: 0 solves the probability flow, 1 the usual SDE. */
  readonly tau: (sigma: number) => number
  /** Whether the network is asked about the corrected batch again. */
  readonly again?: boolean | undefined
}

/** Predictions that the predictor and the corrector rest on. */
const [predictorOrder, correctorOrder] = [3, 4]

/**
 * SA-Solver (Xue et al. 2023, algorithm 1): stochastic Adams methods in predictions of the image, a predictor and a
 * corrector; with `again` the network is asked about what was corrected too (PECE).
 *
 * Source: ComfyUI, comfy/k_diffusion/sampling.py, sample_sa_solver, and sa_solver.py.
 */
export async function* saSolver(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  { noise, noiseScale = 1, tau, again = false }: SaSolverOptions,
): Sampling {
  const last = sigmas.length - 2
  const toClean = sigmas[last + 1] === 0
  /** The last predictions of the image, newest first. */
  let predictions: Float32Array[] = []
  let begun: { readonly x: Float32Array; readonly tau: number; readonly noise: Float32Array | undefined } | undefined
  for (let i = 0; i <= last; i++) {
    const [from, to] = [sigmas[i]!, sigmas[i + 1]!]
    let x0 = await denoise(x, from)
    predictions = [x0, ...predictions].slice(0, correctorOrder)
    if (begun && (to > 0 || again)) {
      const order = Math.min(correctorOrder, predictions.length, toClean ? last + 1 - i : Infinity)
      x = adamsStep(begun.x, sigmas, i, { predictions: predictions.slice(0, order), ends: [i - 1, i], tau: begun.tau })
      if (begun.noise) x = combine(1, x, 1, begun.noise)
      if (again) {
        x0 = await denoise(x, from)
        predictions[0] = x0
      }
    }
    if (to === 0) x = x0
    else {
      const own = tau(to)
      const order = Math.min(predictorOrder, predictions.length, toClean ? last - i : Infinity)
      const step = { predictions: predictions.slice(0, order), ends: [i, i + 1], tau: own } as const
      const added = to * Math.sqrt(-Math.expm1(-2 * own ** 2 * Math.log(from / to))) * noiseScale
      const drawn = own > 0 ? noise(from, to).map(value => added * value) : undefined
      begun = { x, tau: own, noise: drawn }
      x = adamsStep(x, sigmas, i, step)
      if (drawn) x = withNoise(x, 1, drawn)
    }
    yield { x, x0 }
  }
}

interface AdamsStep {
  /** Newest first, of level `newest` and those before it. */
  readonly predictions: readonly Float32Array[]
  /** Places of the levels that the step leads from and to. */
  readonly ends: readonly [from: number, to: number]
  readonly tau: number
}

/** A step without its noise: the polynomial in half the log SNR through predictions, integrated exactly (eq. 14). */
function adamsStep(
  x: Float32Array,
  sigmas: ArrayLike<number>,
  newest: number,
  { predictions, ends: [start, end], tau }: AdamsStep,
): Float32Array {
  const [from, to] = [sigmas[start]!, sigmas[end]!]
  const pace = 1 + tau ** 2
  const h = Math.log(from / to)
  // Places are told from the step's end, so that powers of them stay small.
  const places = predictions.map((_, j) => Math.log(to / sigmas[newest - j]!))
  const moments = exponentialMoments(-h, pace, predictions.length)
  const weights = solveLinear(moments.map((moment, power) => [...places.map(place => place ** power), moment]))
  let out = scale(x, (to / from) ** pace)
  for (const [j, weight] of weights.entries()) out = combine(1, out, weight, predictions[j]!)
  return out
}

/** Integrals of pace e^(pace u) u^p from `start` to 0, for p from 0 on, by parts. */
function exponentialMoments(start: number, pace: number, count: number): number[] {
  const moments = [-Math.expm1(pace * start)]
  for (let p = 1; p < count; p++) moments.push(-(start ** p) * Math.exp(pace * start) - (p / pace) * moments[p - 1]!)
  return moments
}
