import { type BlockForm, type Blocks, emptyBlocks } from '../blocks.js'
import { type DType, float16At } from '../dtypes.js'

/** How a GGUF type stores elements: in blocks of `elements`, of `bytes` each. */
export type BlockType = PlainType | QuantisedType

interface PlainType {
  readonly name: string
  readonly elements: 1
  readonly bytes: number
  /** The same elements in safetensors' words. */
  readonly plain: DType
}

/** All of these are whole numbers with scales; what the K-quants call groups of a block are the blocks of the form. */
export interface QuantisedType {
  readonly name: string
  readonly elements: number
  readonly bytes: number
  readonly plain?: undefined
  readonly form: BlockForm
  /** Writes what one block holds: its numbers from `at` on, scales and offsets from `group` on. */
  decode(block: Uint8Array, to: Blocks, at: number, group: number): void
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
    form: { bits: fifth ? 8 : 4, size: 32, offset: minimum },
    decode(block, { numbers, scales, offsets }, at, group) {
      scales[group] = float16At(block, 0)
      if (minimum) offsets![group] = float16At(block, 2)
      for (let i = 0; i < 16; i++) {
        const byte = block[low + i]!
        const first = fifth ? ((block[bits + (i >> 3)]! >> (i & 7)) & 1) << 4 : 0
        const second = fifth ? ((block[bits + 2 + (i >> 3)]! >> (i & 7)) & 1) << 4 : 0
        numbers[at + i] = (byte & 15) + first - shift
        numbers[at + 16 + i] = (byte >> 4) + second - shift
      }
    },
  }
}

const q8: QuantisedType = {
  name: 'Q8_0',
  elements: 32,
  bytes: 34,
  form: { bits: 8, size: 32, offset: false },
  decode(block, { numbers, scales }, at, group) {
    scales[group] = float16At(block, 0)
    for (let i = 0; i < 32; i++) numbers[at + i] = block[2 + i]!
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
  form: { bits: 4, size: 16, offset: true },
  decode(block, { numbers, scales, offsets }, at, group) {
    const scale = float16At(block, 80)
    const minimum = float16At(block, 82)
    for (let i = 0; i < 16; i++) {
      scales[group + i] = scale * (block[i]! & 15)
      offsets![group + i] = -minimum * (block[i]! >> 4)
    }
    for (let i = 0; i < 256; i++) numbers[at + i] = (block[16 + quarterByte(i)]! >> quarterShift(i)) & 3
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
  form: { bits: 4, size: 16, offset: false },
  decode(block, { numbers, scales }, at, group) {
    const scale = float16At(block, 108)
    for (let i = 0; i < 16; i++) {
      const low = (block[96 + (i & 7)]! >> (i < 8 ? 0 : 4)) & 15
      const high = (block[104 + (i & 3)]! >> (2 * (i >> 2))) & 3
      scales[group + i] = scale * ((low | (high << 4)) - 32)
    }
    for (let i = 0; i < 256; i++) {
      const third = (block[i & 31]! >> (i >> 5)) & 1
      numbers[at + i] = ((block[32 + quarterByte(i)]! >> quarterShift(i)) & 3) - (third ? 0 : 4)
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
    form: { bits: fifth ? 8 : 4, size: 32, offset: true },
    decode(block, { numbers, scales, offsets }, at, group) {
      const scale = float16At(block, 0)
      const minimum = float16At(block, 2)
      for (let i = 0; i < 8; i++) {
        const [a, b, c] = [block[4 + (i & 3)]!, block[8 + (i & 3)]!, block[12 + (i & 3)]!]
        scales[group + i] = scale * (i < 4 ? a & 63 : (c & 15) | ((a >> 6) << 4))
        offsets![group + i] = -minimum * (i < 4 ? b & 63 : (c >> 4) | ((b >> 6) << 4))
      }
      for (let i = 0; i < 256; i++) {
        const [part, place] = [i >> 5, i & 31]
        const four = (block[low + (part >> 1) * 32 + place]! >> (part & 1 ? 4 : 0)) & 15
        numbers[at + i] = four + (fifth ? ((block[16 + place]! >> part) & 1) << 4 : 0)
      }
    },
  }
}

/** Blocks of 256 in 16 groups with 8-bit scales; four bits of an element lie in one place, two in another. */
const q6k: QuantisedType = {
  name: 'Q6_K',
  elements: 256,
  bytes: 210,
  form: { bits: 8, size: 16, offset: false },
  decode(block, { numbers, scales }, at, group) {
    const scale = float16At(block, 208)
    for (let i = 0; i < 16; i++) scales[group + i] = scale * signed(block[192 + i]!)
    for (let i = 0; i < 256; i++) {
      const four = (block[(i >> 7) * 64 + (i & 63)]! >> (i & 64 ? 4 : 0)) & 15
      const two = (block[128 + quarterByte(i)]! >> quarterShift(i)) & 3
      numbers[at + i] = (four | (two << 4)) - 32
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

/** The blocks that lie in a file as what they hold. No scale loses anything: 11 bits times 8 at most. */
export function blocksOf({ elements, bytes: size, form, decode }: QuantisedType, bytes: Uint8Array): Blocks {
  const count = bytes.length / size
  const blocks = emptyBlocks(count * elements, form)
  for (let i = 0; i < count; i++) {
    decode(bytes.subarray(i * size, (i + 1) * size), blocks, i * elements, (i * elements) / form.size)
  }
  return blocks
}
