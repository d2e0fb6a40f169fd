import { combine } from '../diffusion/index.js'

/**
 * Classifier-free guidance of raw predictions (Ho & Salimans 2022, eq. 6), with the scale counted from the unconditional
 * one: 0 is unconditional, 1 conditional, more leads further away from the unconditional prediction.
 */
export function guide(conditional: Float32Array, unconditional: Float32Array, scale: number): Float32Array {
  return combine(scale, conditional, 1 - scale, unconditional)
}
