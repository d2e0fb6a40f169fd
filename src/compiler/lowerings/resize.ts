import { expandTo, reshape } from '../../tensor/reshape.js'
import type { Lowering } from '../lowering.js'

/** Whole-number enlargement as copies along new axes, in whatever layout the image lies. */
export const resizeLowerings: readonly Lowering[] = [
  {
    op: 'resizeNearest',
    name: 'copies',
    fits: (_, { device, training }) => training && device !== 'webgpu',
    rewrite: ({ inputs: [x], shape }) => {
      const [h, w] = x!.shape.slice(-2) as [number, number]
      const [height, width] = shape.slice(-2) as [number, number]
      const leading = x!.shape.slice(0, -2)
      const apart = reshape(x!, [...leading, h, 1, w, 1])
      return reshape(expandTo(apart, [...leading, h, height / h, w, width / w]), shape)
    },
  },
]
