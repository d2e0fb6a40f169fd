import { type HostTensor, hostTensor } from '../../../runtime/index.js'
import { blend, cut, grid, type Sides } from './grid.js'

/** How far tiles reach into one another, as a share of their sides. */
const overlap = 0.25

/** What a network sees of what it is given, and how the parts lie. */
export interface TileOptions {
  readonly tile: Sides
  /** What places are multiples of. */
  readonly unit: number
  readonly wraps: readonly [boolean, boolean]
}

/**
 * What a network that makes pictures of other sizes out of [batch, channels, height, width] makes of it by overlapping
 * tiles, each fading into the next.
 */
export async function tiled(
  run: (part: HostTensor) => Promise<HostTensor>,
  x: HostTensor,
  { tile, unit, wraps }: TileOptions,
): Promise<HostTensor> {
  const [batch, channels, ...sides] = x.shape as [number, number, number, number]
  const corners = grid(sides, tile, { overlap, unit, wraps })
  if (corners.length === 1) return run(x)
  let made: { shape: readonly number[]; merged: ReturnType<typeof blend>; scale: number } | undefined
  for (const corner of corners) {
    const part = cut(x.data as Float32Array, sides, tile, corner)
    const { data, shape } = await run(hostTensor(part, [batch, channels, ...tile]))
    if (made === undefined) {
      const scale = shape[3]! / tile[1]
      const [whole, inside] = [sides, tile].map(([h, w]) => [h * scale, w * scale] as const) as [Sides, Sides]
      const ramps = [0, 1].map(axis => (tile[axis] === sides[axis] ? 0 : overlap * inside[axis]!)) as [number, number]
      made = {
        scale,
        shape: [batch, shape[1]!, ...whole],
        merged: blend(batch * shape[1]!, whole, inside, ramps),
      }
    }
    const { scale, merged } = made
    merged.add(data as Float32Array, [corner[0] * scale, corner[1] * scale])
  }
  return hostTensor(made!.merged.result(), made!.shape)
}
