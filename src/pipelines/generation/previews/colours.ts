import { type Image, pixelsToImage, resizePlanes } from '../../../image/index.js'
import type { Size } from '../../programs.js'

type Shape = readonly [channels: number, height: number, width: number]

/** What each channel of a latent does to its colour, R, G and B in [-1, 1]. */
export interface Colours {
  /** Of latents that are zero. */
  readonly zero: readonly number[]
  /** Of one more of each channel. */
  readonly each: readonly (readonly number[])[]
}

/** Side in latents of a flat patch: its middle sees nothing of the patches around. */
const patch = 4

/**
 * Finds the colours of a decoder by asking it once: for patches of zero, and of one up and one down in each channel. The
 * colour of a flat patch is nearly linear in its latent (published tables of such factors for Stable Diffusion's decoder
 * are fitted to pictures, this needs none).
 *
 * @param decode pixels [3, height, width] in [-1, 1] of latents of one shape
 */
export async function findColours(
  [channels, height, width]: Shape,
  factor: number,
  decode: (latents: readonly Float32Array[]) => Promise<readonly Float32Array[]>,
): Promise<Colours> {
  const side = Math.min(patch, height, width)
  const [across, down] = [Math.floor(width / side), Math.floor(height / side)]
  const moves = [
    [0, 0],
    ...Array.from(
      { length: channels },
      (_, c) =>
        [
          [c, 1],
          [c, -1],
        ] as const,
    ).flat(),
  ] as const
  const places = moves.map((_, i) => ({
    image: Math.floor(i / (across * down)),
    left: (i % across) * side,
    top: (Math.floor(i / across) % down) * side,
  }))
  const count = places.at(-1)!.image + 1
  const latents = Array.from({ length: count }, () => new Float32Array(channels * height * width))
  for (const [i, [channel, move]] of moves.entries()) {
    const { image, left, top } = places[i]!
    for (let y = top; y < top + side; y++)
      latents[image]!.fill(move, (channel * height + y) * width + left, (channel * height + y) * width + left + side)
  }
  const images = await decode(latents)
  const colours = places.map(({ image, left, top }) =>
    [0, 1, 2].map(c => {
      const plane = images[image]!.subarray(c * height * width * factor ** 2, (c + 1) * height * width * factor ** 2)
      return middle(plane, width * factor, { left: left * factor, top: top * factor, side: side * factor })
    }),
  )
  const [zero, ...moved] = colours as [number[], ...number[][]]
  const each = Array.from({ length: channels }, (_, c) =>
    moved[2 * c]!.map((up, rgb) => (up - moved[2 * c + 1]![rgb]!) / 2),
  )
  return { zero, each }
}

/** Mean of the middle quarter of a square. */
function middle(
  plane: Float32Array,
  width: number,
  { left, top, side }: { left: number; top: number; side: number },
): number {
  const [from, to] = [Math.floor(side / 4), Math.ceil((3 * side) / 4)]
  let sum = 0
  for (let y = top + from; y < top + to; y++) for (let x = left + from; x < left + to; x++) sum += plane[y * width + x]!
  return sum / (to - from) ** 2
}

/** A rough picture of latents: the colour of each, smoothly enlarged. */
export function paintColours({ zero, each }: Colours, latents: Float32Array, shape: Shape, size: Size): Image {
  const [, height, width] = shape
  const area = height * width
  const planes = new Float32Array(3 * area)
  for (let rgb = 0; rgb < 3; rgb++) {
    for (let i = 0; i < area; i++) {
      planes[rgb * area + i] = each.reduce((sum, of, c) => sum + of[rgb]! * latents[c * area + i]!, zero[rgb]!)
    }
  }
  return pixelsToImage(resizePlanes(planes, { width, height }, size.width, size.height), size.width, size.height)
}
