import { combine, type Level, type Step } from '../../diffusion/index.js'
import type { Predict, Sampling } from '../contract.js'
import { scale } from '../model.js'

/*
 * Solvers of dx/ds = noise - image, the flow of x = (1 - s) image + s noise (Liu et al. 2022, Lipman et al. 2023). They
 * stand in the variance-preserving coordinates of all models: x there is alpha + sigma times as large.
 */

/** The flow's time of a level. */
const timeOf = ({ alpha, sigma }: Level) => sigma / (alpha + sigma)

/** Batch and velocity at a level, in the flow's coordinates. */
async function flowAt(predict: Predict, x: Float32Array, at: Step['from']) {
  const { x0, epsilon } = await predict(x, at)
  return { place: scale(x, 1 / (at.alpha + at.sigma)), velocity: combine(1, epsilon, -1, x0), x0 }
}

/** Moves along a velocity to a level, and back to its variance-preserving coordinates. */
function move(place: Float32Array, velocity: Float32Array, { from, to }: Step): Float32Array {
  const size = to.alpha + to.sigma
  return combine(size, place, size * (timeOf(to) - timeOf(from)), velocity)
}

/** Euler's method along the flow. */
export async function* flowEuler(predict: Predict, x: Float32Array, steps: readonly Step[]): Sampling {
  for (const step of steps) {
    const { place, velocity, x0 } = await flowAt(predict, x, step.from)
    x = move(place, velocity, step)
    yield { x, x0 }
  }
}

/** Heun's method along the flow: the mean of the velocities at both ends of a step, Euler's step for the last. */
export async function* flowHeun(predict: Predict, x: Float32Array, steps: readonly Step[]): Sampling {
  for (const [i, step] of steps.entries()) {
    const { place, velocity, x0 } = await flowAt(predict, x, step.from)
    x = move(place, velocity, step)
    const end = steps[i + 1]?.from
    if (end) {
      const there = await flowAt(predict, x, end)
      x = move(place, combine(1 / 2, velocity, 1 / 2, there.velocity), step)
    }
    yield { x, x0 }
  }
}
