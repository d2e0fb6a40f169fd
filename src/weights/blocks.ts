/** How numbers of few bits are held: whole ones, and a scale for each block of neighbours. */
export interface BlockForm {
  readonly bits: 4 | 8
  /** Numbers of a block. */
  readonly size: number
  /** Whether blocks have an offset as well; whole numbers of 4 bits are 0 to 15 then, and -8 to 7 otherwise. */
  readonly offset: boolean
}

/** Numbers in blocks: each stands for itself times its block's scale, plus its block's offset. */
export interface Blocks {
  readonly numbers: Int8Array<ArrayBuffer>
  readonly scales: Float32Array<ArrayBuffer>
  readonly offsets?: Float32Array<ArrayBuffer> | undefined
}

/** Blocks for so many numbers, to be filled. */
export function emptyBlocks(count: number, { size, offset }: BlockForm): Blocks {
  const blocks = count / size
  return {
    numbers: new Int8Array(count),
    scales: new Float32Array(blocks),
    offsets: offset ? new Float32Array(blocks) : undefined,
  }
}

/** What the numbers stand for, each rounded once. */
export function widened({ numbers, scales, offsets }: Blocks): Float32Array<ArrayBuffer> {
  const out = new Float32Array(numbers.length)
  const size = numbers.length / scales.length
  for (let block = 0; block < scales.length; block++) {
    const scale = scales[block]!
    // Adding -0 changes nothing, not even the sign of a zero.
    const offset = offsets ? offsets[block]! : -0
    for (let i = block * size; i < (block + 1) * size; i++) out[i] = numbers[i]! * scale + offset
  }
  return out
}
