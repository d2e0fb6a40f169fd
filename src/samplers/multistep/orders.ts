import { combine } from '../../diffusion/index.js'

/** How many predictions the steps of a multistep solver rest on. */
export interface MultistepOptions {
  /** Predictions that a step rests on, 1 to 3. */
  readonly order?: number | undefined
  /** Whether the last steps use fewer, which is steadier in few steps. */
  readonly lowerOrderFinal?: boolean | undefined
  /** Whether the last step is of first order even where it does not end at a clean image. */
  readonly eulerAtFinal?: boolean | undefined
}

/** The order of step i: rising over the first steps, falling over the last where asked. */
export function multistepOrder(
  i: number,
  sigmas: ArrayLike<number>,
  { order = 2, lowerOrderFinal = false, eulerAtFinal = false }: MultistepOptions,
): number {
  const left = sigmas.length - 1 - i
  if (left === 1 && eulerAtFinal) return 1
  return Math.min(order, i + 1, lowerOrderFinal ? left : order)
}

/**
 * First and second divided differences in log SNR of the last predictions (newest first), scaled by the coming step i
 * of size h: h p' and h^2 p'' of the parabola through them. As many as an order above 1; none where the step goes nowhere.
 */
export function dividedDifferences(
  predictions: readonly Float32Array[],
  sigmas: ArrayLike<number>,
  i: number,
  order: number,
): [first?: Float32Array, second?: Float32Array] {
  if (order === 1) return []
  const h = Math.log(sigmas[i]! / sigmas[i + 1]!)
  if (h === 0) return []
  const [m0, m1, m2] = predictions as [Float32Array, Float32Array, Float32Array]
  const r0 = Math.log(sigmas[i - 1]! / sigmas[i]!) / h
  const newest = combine(1 / r0, m0, -1 / r0, m1)
  if (order === 2) return [newest]
  const r1 = Math.log(sigmas[i - 2]! / sigmas[i - 1]!) / h
  const before = combine(1 / r1, m1, -1 / r1, m2)
  const change = combine(1, newest, -1, before)
  return [combine(1, newest, r0 / (r0 + r1), change), change.map(value => value / (r0 + r1))]
}
