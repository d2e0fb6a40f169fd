import { maxPoolBySlices, type PoolAttributes } from '../../tensor/pool.js'
import type { Lowering } from '../lowering.js'

/** Maxima of slices, which keep the layout of the convolutions around. */
export const poolLowerings: readonly Lowering[] = [
  {
    op: 'maxPool2d',
    name: 'slices',
    fits: (_, { device, training }) => training && device !== 'webgpu',
    rewrite: ({ inputs: [x], attributes }) => maxPoolBySlices(x!, attributes as PoolAttributes),
  },
]
