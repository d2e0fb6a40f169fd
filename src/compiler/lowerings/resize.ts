import { expandTo, reshape } from '../../tensor/reshape.js'
import type { Lowering } from '../lowering.js'
import { isThinAndLong } from './thin-and-long.js'

/**
 * Whole-number enlargement as copies along new axes, in whatever layout the image lies; the runtime's own where that is
 * its own layout, in which single numbers would be copied.
 */
export const resizeLowerings: readonly Lowering[] = [
  {
    op: 'resizeNearest',
    name: 'copies',
    fits: (_, { device, training }) => training && device !== 'webgpu',
    pays: ({ shape }) => !isThinAndLong(shape.at(-3) ?? 1, shape.slice(-2)),
    rewrite: ({ inputs: [x], shape }) => {
      const [h, w] = x!.shape.slice(-2) as [number, number]
      const [height, width] = shape.slice(-2) as [number, number]
      const leading = x!.shape.slice(0, -2)
      const apart = reshape(x!, [...leading, h, 1, w, 1])
      return reshape(expandTo(apart, [...leading, h, height / h, w, width / w]), shape)
    },
  },
]
