/**
 * One axis of a resize as a sparse matrix: output i is the sum over k < size of weight[i * size + k] times input
 * index[i * size + k].
 */
export interface Taps {
  readonly size: number
  readonly index: Int32Array
  readonly weight: Float64Array
}

/** A resampling filter: its value at a distance in pixels and the distance beyond which it is 0. */
export interface Filter {
  readonly support: number
  at(x: number): number
}

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI))

/** Keys' cubic with its parameter a. */
export function cubic(a: number): Filter {
  return {
    support: 2,
    at(x) {
      const d = Math.abs(x)
      if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1
      return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0
    },
  }
}

/** Pillow's filters (src/libImaging/Resample.c). */
export const filters = {
  box: { support: 0.5, at: x => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, at: x => Math.max(0, 1 - Math.abs(x)) },
  hamming: { support: 1, at: x => (Math.abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * Math.cos(x * Math.PI)) : 0) },
  bicubic: cubic(-0.5),
  lanczos: { support: 3, at: x => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
} satisfies Record<string, Filter>

/**
 * Taps that widen the filter when shrinking, so that no input is passed over: Pillow's precompute_coeffs, which torch's
 * antialias follows. Output i is centred on input start + (i + 0.5) * scale.
 */
export function antialiasTaps(filter: Filter, input: number, output: number, start: number, scale: number): Taps {
  const stretch = Math.max(scale, 1)
  const support = filter.support * stretch
  const size = Math.ceil(support) * 2 + 1
  const index = new Int32Array(output * size)
  const weight = new Float64Array(output * size)
  for (let i = 0; i < output; i++) {
    const centre = start + (i + 0.5) * scale
    const first = Math.max(0, Math.trunc(centre - support + 0.5))
    const count = Math.min(input, Math.trunc(centre + support + 0.5)) - first
    let sum = 0
    for (let k = 0; k < count; k++) {
      const value = filter.at((first + k - centre + 0.5) / stretch)
      index[i * size + k] = first + k
      weight[i * size + k] = value
      sum += value
    }
    if (sum !== 0) for (let k = 0; k < count; k++) weight[i * size + k]! /= sum
  }
  return { size, index, weight }
}

/** Taps from a function that gives one output's inputs and weights; inputs beyond the edge are taken from the edge. */
export function edgeTaps(input: number, output: number, size: number, of: (i: number) => [number, number][]): Taps {
  const index = new Int32Array(output * size)
  const weight = new Float64Array(output * size)
  for (let i = 0; i < output; i++) {
    of(i).forEach(([at, value], k) => {
      index[i * size + k] = Math.min(Math.max(at, 0), input - 1)
      weight[i * size + k] = value
    })
  }
  return { size, index, weight }
}

/** The axis that is resized, in the middle: data [outer, input, inner] -> [outer, output, inner]. */
export interface Axis {
  readonly outer: number
  readonly input: number
  readonly output: number
  readonly inner: number
}

/** Applies taps in double precision, storing single: Pillow's 32-bit passes. */
export function applyTaps(data: Float32Array, { outer, input, output, inner }: Axis, taps: Taps): Float32Array {
  const out = new Float32Array(outer * output * inner)
  const { size, index, weight } = taps
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < output; i++) {
      for (let n = 0; n < inner; n++) {
        let sum = 0
        for (let k = i * size; k < (i + 1) * size; k++) {
          sum += data[(o * input + index[k]!) * inner + n]! * weight[k]!
        }
        out[(o * output + i) * inner + n] = sum
      }
    }
  }
  return out
}

/** Bits after the point in Pillow's 8-bit passes. */
const precision = 22

/** Applies taps in fixed point and rounds to bytes: Pillow's 8-bit passes. */
export function applyTapsToBytes(
  data: Uint8Array | Uint8ClampedArray,
  { outer, input, output, inner }: Axis,
  { size, index, weight }: Taps,
): Uint8ClampedArray {
  const out = new Uint8ClampedArray(outer * output * inner)
  const fixed = Int32Array.from(weight, w => Math.trunc(w * 2 ** precision + (w < 0 ? -0.5 : 0.5)))
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < output; i++) {
      for (let n = 0; n < inner; n++) {
        let sum = 1 << (precision - 1)
        for (let k = i * size; k < (i + 1) * size; k++) {
          sum += data[(o * input + index[k]!) * inner + n]! * fixed[k]!
        }
        out[(o * output + i) * inner + n] = sum >> precision
      }
    }
  }
  return out
}
