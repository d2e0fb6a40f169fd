import { combine } from '../../diffusion/index.js'
import type { Denoise, Sampling } from '../contract.js'
import { withNoise } from '../model.js'
import type { AncestralOptions } from '../single-step/ancestral.js'

/** How fast noise is exchanged at a level (Cui et al. 2023, the "ER SDE 5" of section 4.3). */
const exchange = (sigma: number) => sigma * (Math.exp(sigma ** 0.3) + 10)

/** Points of the sums that stand for integrals from the end of a step back to its start. */
const points = 200

/**
 * ER-SDE-Solver-3 (Cui et al. 2023, algorithm 3): an extended reverse-time SDE, third order in predictions of the image.
 *
 * Source: ComfyUI, comfy/k_diffusion/sampling.py, sample_er_sde.
 */
export async function* erSde(
  denoise: Denoise,
  x: Float32Array,
  sigmas: ArrayLike<number>,
  { noise, noiseScale = 1 }: AncestralOptions,
): Sampling {
  let before: { readonly x0: Float32Array; readonly change?: Float32Array } | undefined
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [from, to] = [sigmas[i]!, sigmas[i + 1]!]
    const x0 = await denoise(x, from)
    let change: Float32Array | undefined
    if (to === 0) x = x0
    else {
      const kept = exchange(to) / exchange(from)
      x = combine(kept, x, 1 - kept, x0)
      if (before) {
        const { first, second } = integrals(from, to)
        change = differencePer(from - sigmas[i - 1]!, x0, before.x0)
        x = combine(1, x, first, change)
        if (before.change) {
          const bend = differencePer((from - sigmas[i - 2]!) / 2, change, before.change)
          x = combine(1, x, second, bend)
        }
      }
      x = withNoise(x, Math.sqrt(Math.max(to ** 2 - (from * kept) ** 2, 0)) * noiseScale, noise(from, to))
    }
    before = { x0, ...(change && { change }) }
    yield { x, x0 }
  }
}

const differencePer = (way: number, a: Float32Array, b: Float32Array) => combine(1 / way, a, -1 / way, b)

/** What the first and the second derivative of the predictions weigh in a step. */
function integrals(from: number, to: number): { first: number; second: number } {
  const way = to - from
  const step = -way / points
  let [zeroth, first] = [0, 0]
  for (let n = 0; n < points; n++) {
    const sigma = to + n * step
    zeroth += step / exchange(sigma)
    first += (step * (sigma - from)) / exchange(sigma)
  }
  return { first: way + zeroth * exchange(to), second: way ** 2 / 2 + first * exchange(to) }
}
