import { z } from 'zod'
import { crop, flipHorizontal, type Image, resizeImage, type Size } from '../image/index.js'
import type { Box } from './annotations.js'

/** From a picture of any size to the shape that a network sees. */
export const transformSchema = z.strictObject({
  /** Side of the square in pixels; of a bucket of another shape, the side of the square of its area. */
  size: z.int().positive(),
  /** What the shorter side is resized to before cropping, at least `size`; left out: `size` itself. */
  resize: z.int().positive().optional(),
  /** Crops as large as a share of the picture that chance draws from here; the largest without chance. */
  shares: z.strictObject({ min: z.number().positive().max(1), max: z.number().positive().max(1) }).optional(),
  /** Which part is kept where the picture is larger than the square. */
  crop: z.enum(['centre', 'random']).default('centre'),
  /** Mirror every other picture. */
  flip: z.boolean().default(false),
  filter: z.enum(['bilinear', 'bicubic', 'lanczos', 'box']).default('bicubic'),
})

export type Transform = z.infer<typeof transformSchema>

/** What chance decides for one picture: numbers in [0, 1), whatever the transform makes of them. */
export interface Chances {
  readonly x: number
  readonly y: number
  readonly flip: number
}

/** What becomes of a picture: the size it is brought to, the rectangle cut out of that, and whether it is mirrored then. */
export interface View extends Size {
  readonly scaled: Size
  readonly x: number
  readonly y: number
  readonly mirrored: boolean
}

const squareOf = ({ size }: Transform): Size => ({ width: size, height: size })

/** How a picture of some size is seen: scaled to cover `shape` (the transform's square by default), cut and mirrored. */
export function viewOf(picture: Size, transform: Transform, chances: Chances, shape: Size = squareOf(transform)): View {
  const { size, resize: whole = size, shares } = transform
  // A picture that is larger by the inverse of the share is seen as much less of. Source: latent-diffusion,
  // ldm/data/imagenet.py, ImageNetSR.
  const resize = shares ? whole / (shares.max - (shares.max - shares.min) * lowBits(chances.x)) : whole
  if (resize < size) {
    throw new RangeError(
      `Cannot crop ${size}x${size} pixels of pictures resized to ${resize}; resize must be ${size} or more`,
    )
  }
  const covered = { width: (shape.width * resize) / size, height: (shape.height * resize) / size }
  const scale = Math.max(covered.width / picture.width, covered.height / picture.height)
  const side = (length: number, least: number) => Math.max(Math.ceil(least), Math.round(length * scale))
  const scaled = {
    width: side(picture.width, covered.width),
    height: side(picture.height, covered.height),
  }
  return { scaled, ...placeIn(scaled, transform, chances, shape) }
}

/** A chance of its own in [0, 1) from the bits of another that no place in a picture depends on. */
const lowBits = (chance: number): number => (chance * 4096) % 1

function placeIn(scaled: Size, { crop: which, flip }: Transform, chances: Chances, { width, height }: Size) {
  const offset = (room: number, chance: number) =>
    which === 'random' ? Math.floor(chance * (room + 1)) : Math.floor(room / 2)
  return {
    ...{ width, height },
    x: offset(scaled.width - width, chances.x),
    y: offset(scaled.height - height, chances.y),
    mirrored: flip && chances.flip < 0.5,
  }
}

/** The part of the work that needs no chance: the picture in the size that it is cut from. */
export function scaleTo(image: Image, { width, height }: Size, filter: Transform['filter'] | 'nearest'): Image {
  return width === image.width && height === image.height ? image : resizeImage(image, width, height, { filter })
}

/** What is seen of a picture that is scaled already. */
export function cutOut(scaled: Image, { x, y, width, height, mirrored }: View): Image {
  const cut = crop(scaled, x, y, width, height)
  return mirrored ? flipHorizontal(cut) : cut
}

/** The boxes that a view shows, as fractions of it; what lies outside is cut off, and left out if nothing is seen. */
export function boxesInView(boxes: readonly Box[], { scaled, x, y, width, height, mirrored }: View): Box[] {
  const clamp = (value: number) => Math.min(1, Math.max(0, value))
  return boxes.flatMap(({ label, box: [left, top, w, h] }) => {
    const across = (fraction: number) => clamp((fraction * scaled.width - x) / width)
    const down = (fraction: number) => clamp((fraction * scaled.height - y) / height)
    const [x0, x1, y0, y1] = [across(left), across(left + w), down(top), down(top + h)] as const
    if (x1 <= x0 || y1 <= y0) return []
    return { label, box: [mirrored ? 1 - x1 : x0, y0, x1 - x0, y1 - y0] as const }
  })
}

/** The part of a picture that a view shows, before mirroring: left, top, width and height as fractions of the picture. */
export function windowOf({ scaled, x, y, width, height }: View): readonly [number, number, number, number] {
  return [x / scaled.width, y / scaled.height, width / scaled.width, height / scaled.height]
}

/** The part that needs no chance: the shorter side brought to `resize`. */
export function resizeShorterSide(image: Image, transform: Transform): Image {
  return scaleTo(image, viewOf(image, transform, { x: 0, y: 0, flip: 1 }).scaled, transform.filter)
}

/** The part that chance decides: crop and flip of a picture whose shorter side is resized. */
export function cropAndFlip(image: Image, transform: Transform, chances: Chances): Image {
  const { x, y, width, height, mirrored } = placeIn(image, transform, chances, squareOf(transform))
  return cutOut(image, { scaled: image, x, y, width, height, mirrored })
}
