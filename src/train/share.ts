import type { Draws } from '../data/index.js'
import type { Processes } from '../runtime/index.js'

/** Which of how many processes computes a part of every batch. */
export type Place = Pick<Processes, 'rank' | 'size'>

/**
 * This process's part of every batch. All processes draw the whole batch and each keeps its own part, so that N of them
 * see what one with N times the batch would.
 */
export function shareOfDraws(draws: Draws, { rank, size }: Place): Draws {
  return {
    next: count => draws.next(count * size).slice(rank * count, (rank + 1) * count),
    state: () => draws.state(),
  }
}

/**
 * This process's `count` numbers of those that chance gives a whole batch.
 *
 * @example const noise = shareOf(device.processes, 8 * 1024, count => stream.randn(count))
 */
export function shareOf<Numbers extends { slice(start: number, end: number): unknown }>(
  { rank, size }: Place,
  count: number,
  draw: (count: number) => Numbers,
): Numbers {
  return draw(count * size).slice(rank * count, (rank + 1) * count) as Numbers
}
