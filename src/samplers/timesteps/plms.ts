import {
  combine,
  type Level,
  type Parameterization,
  type RungeKuttaStep,
  type Step,
  type TimedLevel,
  toEpsilon,
  toX0,
} from '../../diffusion/index.js'
import type { Before, Predict, Prediction, Sampling } from '../contract.js'
import { adamsBashforth } from '../multistep/linear.js'

export interface PlmsOptions {
  /** What is averaged over the steps: the noise, or v in its place. */
  readonly average?: Exclude<Parameterization, 'x0'> | undefined
  /** First steps by Runge-Kutta; without them the first is an improved Euler step of two calls. */
  readonly start?: readonly RungeKuttaStep[] | undefined
  /** The improved Euler step's second half, where a spacing makes it another step than the first. */
  readonly again?: Step | undefined
  /** Where its second call looks, if not where the second step begins. */
  readonly ahead?: TimedLevel | undefined
  readonly before?: Before | undefined
}

/**
 * PLMS, pseudo linear multistep (Liu et al. 2022, algorithm 2): DDIM steps along an average of the last four
 * predictions.
 *
 * Source: latent-diffusion, ldm/models/diffusion/plms.py; Runge-Kutta steps: diffusers, scheduling_pndm.py.
 */
export async function* plms(
  predict: Predict,
  x: Float32Array,
  steps: readonly Step[],
  { average = 'epsilon', start = [], again = steps[0], ahead = steps[1]?.from, before }: PlmsOptions = {},
): Sampling {
  const raw = ({ epsilon, x0 }: Prediction, { alpha, sigma }: Level) =>
    average === 'v' ? combine(alpha, epsilon, -sigma, x0) : epsilon
  const ask = async (x: Float32Array, at: TimedLevel) => raw(await predict(x, at), at)
  const transfer = (x: Float32Array, from: Level, to: Level, prediction: Float32Array) => {
    const epsilon = toEpsilon(prediction, x, from, average)
    const x0 = toX0(prediction, x, from, average)
    return { x: combine(to.alpha, x0, to.sigma, epsilon), x0 }
  }

  const past: Float32Array[] = []
  for (const { from, afterFirst, middle, afterThird, end } of start) {
    if (before) x = before(x, from)
    const e1 = await ask(x, from)
    const e2 = await ask(transfer(x, from, afterFirst, e1).x, middle)
    const e3 = await ask(transfer(x, from, middle, e2).x, middle)
    const e4 = await ask(transfer(x, from, afterThird, e3).x, end)
    past.unshift(e1)
    const mean = combine(1 / 3, combine(1 / 2, e1, 1, e2), 1 / 3, combine(1, e3, 1 / 2, e4))
    const step = transfer(x, from, end, mean)
    x = step.x
    yield step
  }
  for (const { from, to } of steps) {
    if (before) x = before(x, from)
    const prediction = await ask(x, from)
    past.unshift(prediction)
    past.splice(4)
    let step = transfer(x, from, to, averaged(past))
    if (past.length === 1 && ahead) {
      const second = await ask(step.x, ahead)
      step = transfer(x, again!.from, again!.to, combine(1 / 2, prediction, 1 / 2, second))
    }
    x = step.x
    yield step
  }
}

/** The weighted sum of up to four predictions, newest first. */
function averaged(past: readonly Float32Array[]): Float32Array {
  const own = adamsBashforth[past.length - 1]!
  return past[0]!.map((_, i) => own.reduce((sum, weight, k) => sum + weight * past[k]![i]!, 0))
}
