import { type DType, float16At } from './dtypes.js'

/** How a GGUF type stores elements: in blocks of `elements`, of `bytes` each. */
export type BlockType = PlainType | QuantisedType

interface PlainType {
  readonly name: string
  readonly elements: 1
  readonly bytes: number
  /** The same elements in safetensors' words. */
  readonly plain: DType
}

interface QuantisedType {
  readonly name: string
  readonly elements: number
  readonly bytes: number
  readonly plain?: undefined
  /** Writes the elements of one block to `out` from `to` on. */
  decode(block: Uint8Array, out: Float32Array, to: number): void
}

const plain = (name: string, bytes: number, dtype: DType): PlainType => ({ name, elements: 1, bytes, plain: dtype })

/** Blocks of 32: a scale, perhaps a minimum, perhaps a fifth bit each, then one byte for two elements. */
function nibbles(
  name: string,
  { fifth, minimum, shift }: { fifth: boolean; minimum: boolean; shift: number },
): QuantisedType {
  const bits = minimum ? 4 : 2
  const low = bits + (fifth ? 4 : 0)
  return {
    name,
    elements: 32,
    bytes: low + 16,
    decode(block, out, to) {
      const scale = float16At(block, 0)
      // Adding -0 changes nothing, not even the sign of a zero.
      const add = minimum ? float16At(block, 2) : -0
      for (let i = 0; i < 16; i++) {
        const byte = block[low + i]!
        const first = fifth ? ((block[bits + (i >> 3)]! >> (i & 7)) & 1) << 4 : 0
        const second = fifth ? ((block[bits + 2 + (i >> 3)]! >> (i & 7)) & 1) << 4 : 0
        out[to + i] = scale * ((byte & 15) + first - shift) + add
        out[to + 16 + i] = scale * ((byte >> 4) + second - shift) + add
      }
    },
  }
}

const q8: QuantisedType = {
  name: 'Q8_0',
  elements: 32,
  bytes: 34,
  decode(block, out, to) {
    const scale = float16At(block, 0)
    for (let i = 0; i < 32; i++) out[to + i] = scale * signed(block[2 + i]!)
  },
}

function signed(byte: number): number {
  return (byte << 24) >> 24
}

/** Blocks of 256 in 16 groups with 4-bit scales and minima. */
const q2k: QuantisedType = {
  name: 'Q2_K',
  elements: 256,
  bytes: 84,
  decode(block, out, to) {
    const scale = float16At(block, 80)
    const minimum = float16At(block, 82)
    for (let i = 0; i < 256; i++) {
      const packed = block[i >> 4]!
      const value = (block[16 + quarterByte(i)]! >> quarterShift(i)) & 3
      out[to + i] = scale * (packed & 15) * value - minimum * (packed >> 4)
    }
  },
}

/** Element i of 256 lies in these two bits: every half of 128 has 32 bytes, and each byte one element of every 32. */
const quarterByte = (i: number): number => (i >> 7) * 32 + (i & 31)
const quarterShift = (i: number): number => ((i >> 5) & 3) * 2

/** Blocks of 256 in 16 groups with signed 6-bit scales; the third bits lie apart, inverted. */
const q3k: QuantisedType = {
  name: 'Q3_K',
  elements: 256,
  bytes: 110,
  decode(block, out, to) {
    const scale = float16At(block, 108)
    for (let i = 0; i < 256; i++) {
      const group = i >> 4
      const low = (block[96 + (group & 7)]! >> (group < 8 ? 0 : 4)) & 15
      const high = (block[104 + (group & 3)]! >> (2 * (group >> 2))) & 3
      const third = (block[i & 31]! >> (i >> 5)) & 1
      const value = ((block[32 + quarterByte(i)]! >> quarterShift(i)) & 3) - (third ? 0 : 4)
      out[to + i] = scale * ((low | (high << 4)) - 32) * value
    }
  },
}

/** Blocks of 256 in 8 groups with 6-bit scales and minima, which 12 bytes from 4 on hold. */
function grouped(name: string, fifth: boolean): QuantisedType {
  const low = fifth ? 48 : 16
  return {
    name,
    elements: 256,
    bytes: low + 128,
    decode(block, out, to) {
      const scale = float16At(block, 0)
      const minimum = float16At(block, 2)
      for (let group = 0; group < 8; group++) {
        const [a, b, c] = [block[4 + (group & 3)]!, block[8 + (group & 3)]!, block[12 + (group & 3)]!]
        const groupScale = scale * (group < 4 ? a & 63 : (c & 15) | ((a >> 6) << 4))
        const groupMinimum = minimum * (group < 4 ? b & 63 : (c >> 4) | ((b >> 6) << 4))
        for (let i = 0; i < 32; i++) {
          const four = (block[low + (group >> 1) * 32 + i]! >> (group & 1 ? 4 : 0)) & 15
          const value = four + (fifth ? ((block[16 + i]! >> group) & 1) << 4 : 0)
          out[to + group * 32 + i] = groupScale * value - groupMinimum
        }
      }
    },
  }
}

/** Blocks of 256 in 16 groups with 8-bit scales; four bits of an element lie in one place, two in another. */
const q6k: QuantisedType = {
  name: 'Q6_K',
  elements: 256,
  bytes: 210,
  decode(block, out, to) {
    const scale = float16At(block, 208)
    for (let i = 0; i < 256; i++) {
      const four = (block[(i >> 7) * 64 + (i & 63)]! >> (i & 64 ? 4 : 0)) & 15
      const two = (block[128 + quarterByte(i)]! >> quarterShift(i)) & 3
      out[to + i] = scale * signed(block[192 + (i >> 4)]!) * ((four | (two << 4)) - 32)
    }
  },
}

/** By their numbers, ggml.h, enum ggml_type; the layouts are those of ggml-common.h and ggml-quants.c. */
export const blockTypes: ReadonlyMap<number, BlockType> = new Map<number, BlockType>([
  [0, plain('F32', 4, 'F32')],
  [1, plain('F16', 2, 'F16')],
  [2, nibbles('Q4_0', { fifth: false, minimum: false, shift: 8 })],
  [3, nibbles('Q4_1', { fifth: false, minimum: true, shift: 0 })],
  [6, nibbles('Q5_0', { fifth: true, minimum: false, shift: 16 })],
  [7, nibbles('Q5_1', { fifth: true, minimum: true, shift: 0 })],
  [8, q8],
  [10, q2k],
  [11, q3k],
  [12, grouped('Q4_K', false)],
  [13, grouped('Q5_K', true)],
  [14, q6k],
  [24, plain('I8', 1, 'I8')],
  [25, plain('I16', 2, 'I16')],
  [26, plain('I32', 4, 'I32')],
  [27, plain('I64', 8, 'I64')],
  [28, plain('F64', 8, 'F64')],
  [30, plain('BF16', 2, 'BF16')],
])

/** The elements of whole blocks as float32: scale times integer, plus minimum, rounded once. */
export function dequantise({ elements, bytes: size, decode }: QuantisedType, bytes: Uint8Array): Float32Array {
  const out = new Float32Array((bytes.length / size) * elements)
  for (let block = 0; block * size < bytes.length; block++) {
    decode(bytes.subarray(block * size, (block + 1) * size), out, block * elements)
  }
  return out
}
