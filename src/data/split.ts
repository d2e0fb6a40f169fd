import type { Dataset } from './dataset.js'
import { hash } from './source.js'

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
