import { groupNormByReductions } from '../../tensor/normalize.js'
import type { Tensor } from '../../tensor/tensor.js'
import type { Lowering } from '../lowering.js'

/** Sums over pixels and one multiplication and addition a pixel, whatever the layout; the gradient shares the sums. */
export const groupNormLowerings: readonly Lowering[] = [
  {
    op: 'groupNorm',
    name: 'reductions',
    fits: (_, { device, training }) => training && device !== 'webgpu',
    rewrite: ({ inputs, attributes }) => {
      const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor]
      const { groups, epsilon } = attributes as { groups: number; epsilon: number }
      return groupNormByReductions(x, groups, weight, bias, epsilon)
    },
  },
]
