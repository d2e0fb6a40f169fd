import type { Dataset } from './dataset.js'

/** Positions in `dataset.pictures`. */
export interface Split {
  readonly train: readonly number[]
  readonly heldOut: readonly number[]
}

/**
 * Which pictures are trained on and which are held out to measure with: as the records' `split` says (all but `train`
 * and none are held out), else a share by the hash of each file's name, so that more pictures move none of the old.
 */
export function splitDataset(
  { pictures }: Pick<Dataset, 'pictures'>,
  { share = 0.05 }: { share?: number } = {},
): Split {
  const said = pictures.some(({ split }) => split !== undefined)
  const isHeldOut = said
    ? (i: number) => !['train', undefined].includes(pictures[i]!.split)
    : (i: number) => hash(pictures[i]!.file) < share * 2 ** 32
  const all = pictures.map((_, i) => i)
  return { train: all.filter(i => !isHeldOut(i)), heldOut: all.filter(isHeldOut) }
}

/** FNV-1a with the mixing of MurmurHash3 behind it, whose bits are all even: 0 to 2^32 - 1. */
function hash(text: string): number {
  let h = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) h = Math.imul(h ^ byte, 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
