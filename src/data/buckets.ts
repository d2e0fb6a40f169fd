import { z } from 'zod'
import type { Size } from '../image/index.js'

/** Shapes of nearly equal area, so that pictures of every shape are trained on with little cut away. */
export const bucketSettings = z.strictObject({
  step: z.int().positive().default(64).describe('sides are multiples of it'),
  max_ratio: z.number().min(1).default(2).describe('longest side to shortest'),
})
export type BucketSettings = z.infer<typeof bucketSettings>

/**
 * The shapes for pictures of `size` x `size` pixels' worth: for each width the largest height that stays within the area,
 * both multiples of `step`, and each shape also on its side; the square is among them. From the widest to the tallest.
 *
 * Throws RangeError where `size` is no multiple of `step`.
 *
 * Source: NovelAI, "Aspect Ratio Bucketing", https://github.com/NovelAI/novelai-aspect-ratio-bucketing; SDXL (Podell et
 * al. 2023), 2.3 and appendix I.
 */
export function bucketShapes(size: number, { step, max_ratio }: BucketSettings): Size[] {
  if (size % step !== 0) {
    throw new RangeError(
      `Cannot make buckets for ${size} pixels in steps of ${step}: the size must be a multiple of it`,
    )
  }
  const shapes = new Map<string, Size>()
  const add = (width: number, height: number) => shapes.set(`${width}x${height}`, { width, height })
  for (let long = size; long <= size * Math.sqrt(max_ratio) + step; long += step) {
    const short = Math.floor(size ** 2 / long / step) * step
    if (short === 0 || long / short > max_ratio) continue
    add(long, short)
    add(short, long)
  }
  return [...shapes.values()].sort((a, b) => b.width / b.height - a.width / a.height)
}

/** The shape of nearest aspect ratio: of the least part cut away. */
export function nearestShape(shapes: readonly Size[], { width, height }: Size): Size {
  const off = (shape: Size) => Math.abs(Math.log((shape.width * height) / (shape.height * width)))
  return shapes.reduce((best, shape) => (off(shape) < off(best) ? shape : best))
}
