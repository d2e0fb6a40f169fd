import { float32ToFloat16 } from '../dtypes.js'

/** How 32 numbers become a block, by the names of the types. */
export interface Quantiser {
  /** Bytes of a block. */
  readonly bytes: number
  /** Writes the block of the 32 values from `from` on to `out` from `to` on. */
  encode(values: Float32Array, from: number, out: Uint8Array, to: number): void
}

const elements = 32
const f32 = Math.fround

/** A scale and signed bytes. */
const q8: Quantiser = {
  bytes: 34,
  encode(values, from, out, to) {
    let most = 0
    for (let i = 0; i < elements; i++) most = Math.max(most, Math.abs(values[from + i]!))
    const scale = f32(most / 127)
    const inverse = scale === 0 ? 0 : f32(1 / scale)
    putFloat16(out, to, scale)
    for (let i = 0; i < elements; i++) {
      const level = f32(values[from + i]! * inverse)
      // C's roundf: halves away from zero.
      out[to + 2 + i] = Math.sign(level) * Math.floor(Math.abs(level) + 0.5)
    }
  },
}

/** Blocks as blocks.ts reads them: the number farthest from zero gets the lowest level, so that zero has one. */
function around(zero: 8 | 16): Quantiser {
  const low = zero === 16 ? 6 : 2
  return {
    bytes: low + 16,
    encode(values, from, out, to) {
      let farthest = 0
      for (let i = 0; i < elements; i++) {
        const value = values[from + i]!
        if (Math.abs(value) > Math.abs(farthest)) farthest = value
      }
      const scale = f32(farthest / -zero)
      const inverse = scale === 0 ? 0 : f32(1 / scale)
      putFloat16(out, to, scale)
      // Multiplied and added in one rounding, as the compilers of ggml do it.
      putLevels(out, to + low, zero * 2 - 1, i => f32(values[from + i]! * inverse + zero + 0.5))
    },
  }
}

/** Levels between the smallest number and the largest. */
function between(most: 15 | 31): Quantiser {
  const low = most === 31 ? 8 : 4
  return {
    bytes: low + 16,
    encode(values, from, out, to) {
      let [least, largest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
      for (let i = 0; i < elements; i++) {
        least = Math.min(least, values[from + i]!)
        largest = Math.max(largest, values[from + i]!)
      }
      const scale = f32(f32(largest - least) / most)
      const inverse = scale === 0 ? 0 : f32(1 / scale)
      putFloat16(out, to, scale)
      putFloat16(out, to + 2, least)
      putLevels(out, to + low, most, i => f32(f32(f32(values[from + i]! - least) * inverse) + 0.5))
    },
  }
}

/** Two levels a byte, the second of the other half; the fifth bits in the four bytes before them. */
function putLevels(out: Uint8Array, to: number, most: number, levelAt: (i: number) => number): void {
  let fifth = 0
  for (let i = 0; i < 16; i++) {
    const [first, second] = [Math.min(most, Math.trunc(levelAt(i))), Math.min(most, Math.trunc(levelAt(i + 16)))]
    out[to + i] = (first & 15) | ((second & 15) << 4)
    fifth |= ((first >> 4) << i) | ((second >> 4) << (i + 16))
  }
  if (most === 31) for (let i = 0; i < 4; i++) out[to - 4 + i] = fifth >>> (8 * i)
}

function putFloat16(out: Uint8Array, at: number, value: number): void {
  const bits = float32ToFloat16(Float32Array.of(value))[0]!
  out[at] = bits & 255
  out[at + 1] = bits >> 8
}

/** Source of the arithmetic: ggml, ggml-quants.c, quantize_row_*_ref. */
export const quantisers: Readonly<Record<string, Quantiser>> = {
  Q8_0: q8,
  Q4_0: around(8),
  Q4_1: between(15),
  Q5_0: around(16),
  Q5_1: between(31),
}

/** Numbers as blocks of 32, of which there must be whole ones. */
export function quantise({ bytes, encode }: Quantiser, values: Float32Array): Uint8Array {
  if (values.length % elements !== 0) throw new RangeError(`Blocks have ${elements} numbers, found ${values.length}`)
  const out = new Uint8Array((values.length / elements) * bytes)
  for (let block = 0; block * elements < values.length; block++) encode(values, block * elements, out, block * bytes)
  return out
}
