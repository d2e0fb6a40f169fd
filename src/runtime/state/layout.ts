import { sizeOf } from '../../tensor/shape.js'

/** Where a parameter lies in the flat arrays of a training state. */
export interface Place {
  readonly chunk: number
  readonly offset: number
  readonly length: number
  readonly shape: readonly number[]
}

export interface Layout {
  readonly places: ReadonlyMap<string, Place>
  /** Floats of each chunk of an array. */
  readonly lengths: readonly number[]
}

/**
 * Lays parameters one after the other into as few chunks as `limit` floats a chunk allow; a larger parameter gets a chunk
 * of its own. Parameters and chunks begin and end at multiples of `alignment`.
 */
export function layOut(
  parameters: readonly { readonly name: string; readonly shape: readonly number[] }[],
  limit: number,
  alignment: number,
): Layout {
  const places = new Map<string, Place>()
  const lengths = [0]
  for (const { name, shape } of parameters) {
    const length = sizeOf(shape)
    const padded = Math.ceil(length / alignment) * alignment
    if (lengths.at(-1)! > 0 && lengths.at(-1)! + padded > limit) lengths.push(0)
    const chunk = lengths.length - 1
    places.set(name, { chunk, offset: lengths[chunk]!, length, shape })
    lengths[chunk]! += padded
  }
  return { places, lengths }
}
