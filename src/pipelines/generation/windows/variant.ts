import type { Size } from '../../../image/index.js'
import type { Circular } from '../../../nn/circular.js'

/** How a plan's networks see its pictures. */
export interface SeeingVariant {
  /** Axes whose two ends are neighbours. */
  readonly seamless?: Circular | undefined
  /** What the diffusion model sees at once, in pixels, if not all. */
  readonly window?: Size | undefined
  /** What the first stage sees at once, in pixels, if not all. */
  readonly tile?: Size | undefined
}

/** What settings say of it. */
export interface SeeingSettings extends Size {
  readonly seamless?: Circular | undefined
  readonly window?: number | undefined
  readonly tile?: number | undefined
}

/** The variant that settings ask for; nothing where all is seen at once. */
export function seeingVariantOf({ seamless, window, tile, ...size }: SeeingSettings): SeeingVariant {
  const [seen, decoded] = [window, tile].map(side => partOf(size, side))
  return { ...(seamless && { seamless }), ...(seen && { window: seen }), ...(decoded && { tile: decoded }) }
}

/** A square of a side as far as it lies in a picture; undefined where it covers it. */
function partOf({ width, height }: Size, side = Infinity): Size | undefined {
  return side >= width && side >= height ? undefined : { width: Math.min(side, width), height: Math.min(side, height) }
}

/** Whether top and bottom, and left and right, are neighbours. */
export const wrapsOf = ({ seamless = '' }: { readonly seamless?: string | undefined }): readonly [boolean, boolean] => [
  seamless.includes('y'),
  seamless.includes('x'),
]

/** The axes along which a network that sees a part wraps around by itself: where that part is the whole. */
export function circularWithin(whole: Size, part: Size, seamless: Circular | undefined): Circular | undefined {
  const across = part.width === whole.width && seamless?.includes('x')
  const down = part.height === whole.height && seamless?.includes('y')
  return across ? (down ? 'xy' : 'x') : down ? 'y' : undefined
}
