import type { Image } from '../../image/index.js'

/** Pixels beyond each side of a picture. */
export interface Margins {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

/** The transparent part of a picture as a mask, white where nothing is seen; undefined where all of it is seen. */
export function alphaMask({ data, width, height, channels }: Image): Image | undefined {
  if (channels === 3) return undefined
  const levels = Uint8Array.from({ length: width * height }, (_, i) => 255 - data[4 * i + 3]!)
  return levels.some(level => level > 0) ? grey(levels, width, height) : undefined
}

/** Grey levels as a picture. */
export const grey = (levels: Uint8Array, width: number, height: number): Image => ({
  data: Uint8Array.from({ length: 3 * levels.length }, (_, i) => levels[Math.floor(i / 3)]!),
  width,
  height,
  channels: 3,
})

/** A picture on a larger canvas, which its mirror images fill: what is painted there begins with colours that go on. */
export function mirrored(image: Image, { left, right, top, bottom }: Margins): Image {
  const { data, channels } = image
  const [width, height] = [image.width + left + right, image.height + top + bottom]
  const out = new Uint8Array(width * height * channels)
  for (let y = 0; y < height; y++) {
    const row = reflected(y - top, image.height) * image.width
    for (let x = 0; x < width; x++) {
      const from = (row + reflected(x - left, image.width)) * channels
      for (let c = 0; c < channels; c++) out[(y * width + x) * channels + c] = data[from + c]!
    }
  }
  return { data: out, width, height, channels }
}

/** A position beyond the ends as if both were mirrors, again and again. */
function reflected(at: number, length: number): number {
  const turn = ((at % (2 * length)) + 2 * length) % (2 * length)
  return turn < length ? turn : 2 * length - 1 - turn
}

export interface Overlap {
  /** Pixels inside the picture. */
  readonly overlap: number
  /** Margins beyond these are cut off again: the picture stays as it is there. */
  readonly asked: Margins
}

/**
 * Grey levels of a canvas: white in its margins, black in the picture, and from one to the other over `overlap` pixels
 * inside the picture along the sides that are `asked` for; white as well where the picture is transparent.
 */
export function marginMask(image: Image, margins: Margins, { overlap, asked }: Overlap): Image {
  const { left, right, top, bottom } = margins
  const [width, height] = [image.width + left + right, image.height + top + bottom]
  const hidden = alphaMask(image)
  const levels = new Uint8Array(width * height)
  /** Pixels from the nearest side that has a margin, from 1 on. */
  const depth = (at: number, length: number, before: number, after: number) =>
    Math.min(before > 0 ? at + 1 : Infinity, after > 0 ? length - at : Infinity)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [px, py] = [x - left, y - top]
      const inside = px >= 0 && py >= 0 && px < image.width && py < image.height
      const deep = Math.min(
        depth(px, image.width, asked.left, asked.right),
        depth(py, image.height, asked.top, asked.bottom),
      )
      const share = inside ? Math.max(0, 1 - deep / (overlap + 1)) : 1
      const transparent = inside && hidden ? hidden.data[3 * (py * image.width + px)]! : 0
      levels[y * width + x] = Math.max(Math.round(255 * share), transparent)
    }
  }
  return grey(levels, width, height)
}

/** The mean colour of what is seen of a picture, R, G and B from 0 to 255. */
export function meanColour(image: Image): [number, number, number] {
  const { data, channels } = image
  const sums = [0, 0, 0]
  let seen = 0
  for (let i = 0; i < data.length; i += channels) {
    const share = channels === 4 ? data[i + 3]! / 255 : 1
    seen += share
    for (let c = 0; c < 3; c++) sums[c]! += share * data[i + c]!
  }
  return sums.map(sum => Math.round(sum / Math.max(seen, 1))) as [number, number, number]
}
