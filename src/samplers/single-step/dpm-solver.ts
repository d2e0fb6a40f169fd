import { combine, linspace } from '../../diffusion/index.js'
import type { Denoise, SampleStep, Sampling } from '../contract.js'
import { slope, withNoise } from '../model.js'
import { type AncestralOptions, ancestralSplit } from './ancestral.js'

/*
 * DPM-Solver (Lu et al. 2022a) within single steps, in predictions of the noise; time is -log sigma. It stops at the
 * lowest level above 0.
 *
 * Source: k-diffusion, sampling.py, DPMSolver.
 */

/** The noise that x holds at a time: slopes of one step, asked for once each. */
function noiseAt(denoise: Denoise) {
  return async (x: Float32Array, t: number) => {
    const sigma = Math.exp(-t)
    const x0 = await denoise(x, sigma)
    return { epsilon: slope(x, x0, sigma), x0 }
  }
}

type NoiseAt = ReturnType<typeof noiseAt>

function firstOrder(x: Float32Array, epsilon: Float32Array, t: number, next: number): Float32Array {
  return combine(1, x, -Math.exp(-next) * Math.expm1(next - t), epsilon)
}

/** Algorithm 1, DPM-Solver-2, given the slopes at t and at t + r h. */
function secondOrder(x: Float32Array, e0: Float32Array, e1: Float32Array, t: number, next: number, r: number) {
  const weight = -Math.exp(-next) * Math.expm1(next - t)
  return combine(1, firstOrder(x, e0, t, next), weight / (2 * r), combine(1, e1, -1, e0))
}

/** Algorithm 2, DPM-Solver-3, given the slopes at t and at t + h / 3. */
async function thirdOrder(ask: NoiseAt, x: Float32Array, e0: Float32Array, e1: Float32Array, t: number, next: number) {
  const h = next - t
  const s = t + (2 / 3) * h
  const phi = (k: number) => Math.expm1(k * h) / (k * h) - 1
  const there = combine(1, firstOrder(x, e0, t, s), -Math.exp(-s) * 2 * phi(2 / 3), combine(1, e1, -1, e0))
  const e2 = (await ask(there, s)).epsilon
  return combine(1, firstOrder(x, e0, t, next), -Math.exp(-next) * (3 / 2) * phi(1), combine(1, e2, -1, e0))
}

/** Where a step that adds noise goes down to, and how much it adds. */
function split(t: number, next: number, end: number, eta: number): { down: number; up: number } {
  if (eta === 0) return { down: next, up: 0 }
  const to = Math.exp(-next)
  const down = Math.min(end, -Math.log(ancestralSplit(Math.exp(-t), to, eta).down))
  return { down, up: Math.sqrt(to ** 2 - Math.exp(-down) ** 2) }
}

/** The ends of the levels, as times. */
function ends(sigmas: ArrayLike<number>): [start: number, end: number] {
  const positive = Array.from(sigmas).filter(sigma => sigma > 0)
  return [-Math.log(positive[0]!), -Math.log(positive.at(-1)!)]
}

/** DPM-Solver-fast: third-order steps equal in log sigma, lower orders at the end, one network call per level given. */
export async function* dpmFast(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  { noise, eta = 0, noiseScale = 1 }: AncestralOptions,
): Sampling {
  const calls = sigmas.length - 1
  const [start, end] = ends(sigmas)
  const steps = Math.floor(calls / 3) + 1
  const last = calls % 3 === 0 ? [2, 1] : [calls % 3]
  const orders = [...new Array<number>(steps - last.length).fill(3), ...last]
  const times = linspace(start, end, steps + 1)
  const ask = noiseAt(denoise)
  for (const [i, order] of orders.entries()) {
    const [t, next] = [times[i]!, times[i + 1]!]
    const { down, up } = split(t, next, end, eta)
    const { epsilon, x0 } = await ask(x, t)
    if (order === 1) x = firstOrder(x, epsilon, t, down)
    else {
      const r = 1 / order
      const middle = t + r * (down - t)
      const between = (await ask(firstOrder(x, epsilon, t, middle), middle)).epsilon
      x =
        order === 2 ? secondOrder(x, epsilon, between, t, down, r) : await thirdOrder(ask, x, epsilon, between, t, down)
    }
    x = withNoise(x, up * noiseScale, noise())
    yield { x, x0 }
  }
}

export interface AdaptiveOptions extends AncestralOptions {
  /** 3 compares third-order steps with second-order ones, 2 second with first. */
  readonly order?: 2 | 3 | undefined
  readonly relativeTolerance?: number | undefined
  readonly absoluteTolerance?: number | undefined
  /** First step, in log sigma. */
  readonly firstStep?: number | undefined
  /** Gains of the step's control. */
  readonly gains?: { readonly p: number; readonly i: number; readonly d: number } | undefined
  readonly acceptSafety?: number | undefined
}

export interface AdaptiveStep extends SampleStep {
  /** Whether the step was close enough to be taken; else x is as before. */
  readonly accepted: boolean
}

/** DPM-Solver-12 and -23, whose steps grow and shrink with the error: only the ends of the levels count. */
export async function* dpmAdaptive(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  options: AdaptiveOptions,
): AsyncGenerator<AdaptiveStep, void> {
  const { noise, eta = 0, noiseScale = 1, order = 3, firstStep = 0.05, relativeTolerance: rtol = 0.05 } = options
  const { absoluteTolerance: atol = 0.0078, gains = { p: 0, i: 1, d: 0 }, acceptSafety = 0.81 } = options
  const [start, end] = ends(sigmas)
  const control = stepControl(firstStep, gains, eta > 0 ? 1.5 : order, acceptSafety)
  const ask = noiseAt(denoise)
  let previous = x
  for (let t = start; t < end - 1e-5; ) {
    const next = Math.min(end, t + control.step())
    const { down, up } = split(t, next, end, eta)
    const { epsilon, x0 } = await ask(x, t)
    const r = 1 / order
    const middle = t + r * (down - t)
    const between = (await ask(firstOrder(x, epsilon, t, middle), middle)).epsilon
    const second = secondOrder(x, epsilon, between, t, down, r)
    const low = order === 2 ? firstOrder(x, epsilon, t, down) : second
    const high = order === 2 ? second : await thirdOrder(ask, x, epsilon, between, t, down)
    const accepted = control.accepts(relativeError(low, high, previous, atol, rtol))
    if (accepted) {
      previous = low
      x = withNoise(high, up * noiseScale, noise())
      t = next
    }
    yield { x, x0, accepted }
  }
}

function relativeError(
  low: Float32Array,
  high: Float32Array,
  previous: Float32Array,
  atol: number,
  rtol: number,
): number {
  let sum = 0
  for (let i = 0; i < low.length; i++) {
    const allowed = Math.max(atol, rtol * Math.max(Math.abs(low[i]!), Math.abs(previous[i]!)))
    sum += ((low[i]! - high[i]!) / allowed) ** 2
  }
  return Math.sqrt(sum / low.length)
}

/** A PID controller of the step's size over the inverses of the last errors (k-diffusion, PIDStepSizeController). */
function stepControl(first: number, { p, i, d }: { p: number; i: number; d: number }, order: number, safety: number) {
  let step = first
  let inverses: [number, number, number] | undefined
  return {
    step: () => step,
    accepts(error: number): boolean {
      const inverse = 1 / (error + 1e-8)
      inverses = inverses ? [inverse, inverses[1], inverses[2]] : [inverse, inverse, inverse]
      const [e0, e1, e2] = inverses
      const gain = e0 ** ((p + i + d) / order) * e1 ** (-(p + 2 * d) / order) * e2 ** (d / order)
      // Keeps the factor between 0.2 and 2.6, smoothly.
      const factor = 1 + Math.atan(gain - 1)
      step *= factor
      if (factor < safety) return false
      inverses = [e0, e0, e1]
      return true
    },
  }
}
