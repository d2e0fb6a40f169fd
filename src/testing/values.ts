import type { Spec, Value } from '../tensor/tensor.js'

/** Numbers for a program's input. */
export type Sample = Value & Spec

/** Draws inputs of tests: the same for the same seed. */
export interface Draw {
  /** Roughly normal, f32. */
  normal(...shape: number[]): Sample
  /** Between 0.5 and 2, f32. */
  positive(...shape: number[]): Sample
  /** No two alike and none near 0, f32: where a function has a kink at ties or at 0. */
  distinct(...shape: number[]): Sample
  /** Whole numbers from 0 up to `below`, i64. */
  indices(below: number, ...shape: number[]): Sample
  bool(...shape: number[]): Sample
}

/** A small generator of numbers in [0, 1) (mulberry32). */
export function uniforms(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

export function drawing(seed: number): Draw {
  const uniform = uniforms(seed)
  const filled = (dtype: Spec['dtype'], shape: number[], next: (i: number) => number): Sample => {
    const data = new Float64Array(shape.reduce((a, b) => a * b, 1))
    for (let i = 0; i < data.length; i++) data[i] = Math.fround(next(i))
    return { dtype, shape, data }
  }
  return {
    normal: (...shape) => filled('f32', shape, () => uniform() + uniform() + uniform() + uniform() - 2),
    positive: (...shape) => filled('f32', shape, () => 0.5 + 1.5 * uniform()),
    distinct(...shape) {
      const sample = filled('f32', shape, () => 0)
      const count = sample.data.length
      const steps = Array.from({ length: count }, (_, i) => i - Math.floor(count / 2) + 0.5)
      for (let i = 0; i < count; i++) {
        const j = i + Math.floor(uniform() * (count - i))
        sample.data[i] = steps[j]! / 8
        steps[j] = steps[i]!
      }
      return sample
    },
    indices: (below, ...shape) => filled('i64', shape, () => Math.floor(uniform() * below)),
    bool: (...shape) => filled('bool', shape, () => +(uniform() < 0.6)),
  }
}
