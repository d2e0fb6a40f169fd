import { z } from 'zod'
import { crop, flipHorizontal, type Image, resizeImage } from '../image/index.js'

/** From a picture of any size to the square that a network sees. */
export const transformSchema = z.strictObject({
  /** Side of the square in pixels. */
  size: z.int().positive(),
  /** What the shorter side is resized to before cropping, at least `size`; left out: `size` itself. */
  resize: z.int().positive().optional(),
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

/** The part that needs no chance: the shorter side brought to `resize`. */
export function resizeShorterSide(image: Image, transform: Transform): Image {
  const shorter = shorterSide(transform)
  const scale = shorter / Math.min(image.width, image.height)
  const width = Math.max(shorter, Math.round(image.width * scale))
  const height = Math.max(shorter, Math.round(image.height * scale))
  if (width === image.width && height === image.height) return image
  return resizeImage(image, width, height, { filter: transform.filter })
}

/** The part that chance decides: crop and flip of a picture whose shorter side is resized. */
export function cropAndFlip(image: Image, { size, crop: which, flip }: Transform, chances: Chances): Image {
  const offset = (room: number, chance: number) =>
    which === 'random' ? Math.floor(chance * (room + 1)) : Math.floor(room / 2)
  const cut = crop(image, offset(image.width - size, chances.x), offset(image.height - size, chances.y), size, size)
  return flip && chances.flip < 0.5 ? flipHorizontal(cut) : cut
}

function shorterSide({ size, resize = size }: Transform): number {
  if (resize < size) {
    throw new RangeError(
      `Cannot crop ${size}x${size} pixels of pictures resized to ${resize}; resize must be ${size} or more`,
    )
  }
  return resize
}
