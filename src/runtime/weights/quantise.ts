import { type BlockForm, type Blocks, emptyBlocks } from '../../weights/blocks.js'

/** Neighbours that share a scale. */
export const blockSize = 32

/**
 * Rounds weights to whole numbers, block by block, so that the largest of a block is met exactly: 127 of 8 bits, -8 of 4.
 * Those are the grids of GGUF's Q8_0 and Q4_0, so what was stored in them stays as it is. In 4 bits the scale then becomes
 * the one that is nearest to all weights of the block for these whole numbers, by least squares.
 * Source: ggml, quantize_row_q8_0_ref and quantize_row_q4_0_ref.
 */
export function quantise(values: Float32Array, form: BlockForm): Blocks {
  const [highest, met] = form.bits === 8 ? [127, 127] : [7, -8]
  const blocks = emptyBlocks(values.length, form)
  const { numbers, scales } = blocks
  for (let block = 0; block < scales.length; block++) {
    const start = block * form.size
    const end = start + form.size
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
    if (form.bits === 4) scales[block] = nearestScale(values, numbers, start, end)
  }
  return blocks
}

function nearestScale(values: Float32Array, numbers: Int8Array, start: number, end: number): number {
  let [product, square] = [0, 0]
  for (let i = start; i < end; i++) {
    product += values[i]! * numbers[i]!
    square += numbers[i]! ** 2
  }
  return square === 0 ? 0 : product / square
}
