import { nibbles } from '../compiler/pack.js'

/** Neighbours that share a scale. */
export const blockSize = 32

/** Weights as whole numbers of 8 or 4 bits, two to a byte, with a scale for each block. */
export interface Quantised {
  readonly numbers: Uint8Array<ArrayBuffer>
  readonly scales: Float32Array<ArrayBuffer>
}

/**
 * Rounds weights, whose number 32 divides, to whole numbers, block by block, so that the largest of a block is met
 * exactly: 127 of 8 bits, -8 of 4. Those are the grids of GGUF's Q8_0 and Q4_0, so what was stored in them stays as it
 * is. Source: ggml, quantize_row_q8_0_ref and quantize_row_q4_0_ref.
 */
export function quantise(values: Float32Array, form: 'i8' | 'i4'): Quantised {
  const [highest, met] = form === 'i8' ? [127, 127] : [7, -8]
  const numbers = new Int8Array(values.length)
  const scales = new Float32Array(values.length / blockSize)
  for (let block = 0; block < scales.length; block++) {
    const start = block * blockSize
    const end = start + blockSize
    let largest = 0
    let size = 0
    for (let i = start; i < end; i++) {
      const value = values[i]!
      if (value > size || -value > size) {
        largest = value
        size = Math.abs(value)
      }
    }
    const scale = largest / met
    scales[block] = scale
    const inverse = scale === 0 ? 0 : 1 / scale
    for (let i = start; i < end; i++) {
      const number = ((values[i]! * inverse + 128.5) | 0) - 128
      numbers[i] = number > highest ? highest : number
    }
  }
  return { numbers: form === 'i8' ? new Uint8Array(numbers.buffer) : nibbles(numbers), scales }
}
