import type { TorchGenerator } from '../../random/index.js'

export interface MaskOptions {
  readonly width: number
  readonly height: number
  /** Share of the masks that cover everything, as in training without a mask. */
  readonly everything: number
}

/** The sizes of LaMa's generator are of pictures of 256 pixels. */
const side = 256

/**
 * A mask as they come up in retouching, 1 where the picture is to be painted: broken strokes of a wide brush, or some
 * boxes, by equal chance. Source: LaMa (Suvorov et al. 2022), saicinpainting/training/data/masks.py, its thick masks.
 */
export function randomMask({ width, height, everything }: MaskOptions, random: TorchGenerator): Float32Array {
  const mask = new Float32Array(width * height)
  const uniform = (low: number, high: number) => low + (high - low) * random.rand64(1)[0]!
  const whole = (low: number, high: number) => Math.floor(uniform(low, high + 1))
  const scale = Math.min(width, height) / side
  if (uniform(0, 1) < everything) return mask.fill(1)
  if (uniform(0, 1) < 0.5) {
    for (let strokes = whole(1, 5); strokes > 0; strokes--) {
      let [x, y] = [uniform(0, width), uniform(0, height)]
      for (let parts = whole(1, 5); parts > 0; parts--) {
        const [angle, length, radius] = [uniform(0, 2 * Math.PI), uniform(10, 200) * scale, uniform(5, 100) * scale]
        const to = [
          Math.min(Math.max(x + length * Math.sin(angle), 0), width),
          Math.min(Math.max(y + length * Math.cos(angle), 0), height),
        ] as const
        stroke(mask, width, [x, y], to, radius / 2)
        ;[x, y] = to
      }
    }
  } else {
    for (let boxes = whole(1, 4); boxes > 0; boxes--) {
      const [w, h] = [whole(30, 150), whole(30, 150)].map(length => Math.max(1, Math.round(length * scale))) as [
        number,
        number,
      ]
      const [left, top] = [whole(0, width - w), whole(0, height - h)]
      for (let y = top; y < Math.min(top + h, height); y++)
        mask.fill(1, y * width + left, y * width + Math.min(left + w, width))
    }
  }
  return mask
}

type Point = readonly [x: number, y: number]

/** Sets what is nearer than `radius` to the line between two points. */
function stroke(mask: Float32Array, width: number, [x0, y0]: Point, [x1, y1]: Point, radius: number): void {
  const [dx, dy] = [x1 - x0, y1 - y0]
  const squared = dx * dx + dy * dy
  for (let i = 0; i < mask.length; i++) {
    const [x, y] = [(i % width) + 0.5 - x0, Math.floor(i / width) + 0.5 - y0]
    const along = squared === 0 ? 0 : Math.min(Math.max((x * dx + y * dy) / squared, 0), 1)
    if ((x - along * dx) ** 2 + (y - along * dy) ** 2 <= radius ** 2) mask[i] = 1
  }
}
