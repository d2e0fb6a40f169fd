import { restoreTorchGenerator, type TorchGenerator, type TorchState } from '../random/index.js'
import type { Chances } from './transform.js'

/** One picture that was drawn, and what chance decides for it. */
export interface Draw extends Chances {
  /** Position in `dataset.pictures`. */
  readonly index: number
  /** In [0, 1): which of its captions. */
  readonly caption: number
}

/** Where drawing stands, as plain data (it survives JSON). */
export interface DrawState {
  readonly epoch: number
  /** Pictures of this epoch that were drawn. */
  readonly position: number
  /** How many pictures an epoch has. */
  readonly count: number
  /** The generator before this epoch's order was drawn: with it the order is drawn again. */
  readonly shuffle: TorchState
  /** The generator now. */
  readonly random: TorchState
  /** What was drawn for batches that are not full yet, where pictures are sorted by shape. */
  readonly pending?: readonly Draw[] | undefined
}

/** Draws pictures without end: each one once an epoch, in an order that is drawn anew every epoch. */
export interface Draws {
  next(count: number): Draw[]
  state(): DrawState
}

/**
 * Draws from the pictures `indices` with a generator of one's own, or goes on from a state; all chance comes from there,
 * so the same start gives the same draws whatever the batch size.
 *
 * Throws RangeError for no pictures, or a state of another number of them.
 */
export function drawPictures(indices: readonly number[], start: TorchGenerator | DrawState): Draws {
  if (indices.length === 0) throw new RangeError('Cannot draw pictures: there are none')
  const resumed = 'epoch' in start ? checkState(start, indices.length) : undefined
  let random = resumed ? restoreTorchGenerator(resumed.shuffle) : (start as TorchGenerator)
  let epoch = resumed?.epoch ?? 0
  let position = resumed?.position ?? 0
  let shuffle = random.state()
  let order = random.randperm(indices.length)
  if (resumed) random = restoreTorchGenerator(resumed.random)
  function draw(): Draw {
    if (position === indices.length) {
      epoch++
      position = 0
      shuffle = random.state()
      order = random.randperm(indices.length)
    }
    const [caption, x, y, flip] = random.rand(4)
    return { index: indices[order[position++]!]!, caption: caption!, x: x!, y: y!, flip: flip! }
  }
  return {
    next: count => Array.from({ length: count }, draw),
    state: () => ({ epoch, position, count: indices.length, shuffle, random: random.state() }),
  }
}

/**
 * The same draws sorted so that those of one call are of one shape: one whose shape is not called for yet waits, over the
 * epoch's end if need be, so that none is lost.
 */
export function drawByShape(draws: Draws, shapeOf: (index: number) => string, pending: readonly Draw[] = []): Draws {
  let waiting = [...pending]
  return {
    next(count) {
      const found = new Map<string, number>()
      const isFull = ({ index }: Draw) => {
        const shape = shapeOf(index)
        found.set(shape, (found.get(shape) ?? 0) + 1)
        return found.get(shape)! >= count
      }
      let last = waiting.find(isFull)
      while (!last) {
        const draw = draws.next(1)[0]!
        waiting.push(draw)
        if (isFull(draw)) last = draw
      }
      const shape = shapeOf(last.index)
      const taken = waiting.filter(({ index }) => shapeOf(index) === shape).slice(0, count)
      waiting = waiting.filter(draw => !taken.includes(draw))
      return taken
    },
    state: () => ({ ...draws.state(), pending: [...waiting] }),
  }
}

/** Draws without chance: the given pictures in order, cropped at the centre, first caption. */
export function fixedDraws(indices: readonly number[]): Draw[] {
  return indices.map(index => ({ index, caption: 0, x: 0.5, y: 0.5, flip: 1 }))
}

function checkState(state: DrawState, count: number): DrawState {
  const { epoch, position } = state
  const whole = Number.isInteger(epoch) && epoch >= 0 && Number.isInteger(position) && position >= 0
  if (state.count !== count || !whole || position > count) {
    throw new RangeError(
      `Cannot go on at picture ${position} of ${state.count} in epoch ${epoch}: there are ${count} pictures. ` +
        'Resume with the same folder, or start anew',
    )
  }
  return state
}
