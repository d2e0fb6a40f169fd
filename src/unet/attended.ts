import { mul } from '../tensor/binary.js'
import { matmul } from '../tensor/matmul.js'
import { softmax } from '../tensor/normalize.js'
import { mean, sum } from '../tensor/reduce.js'
import { reshape, transpose } from '../tensor/reshape.js'
import type { Tensor } from '../tensor/tensor.js'
import type { UnetChange } from './changes.js'

/** A change that only looks, and what it has seen once the network is traced. */
export interface Watching {
  readonly change: UnetChange
  /** How much the middle's positions are attended to by all others together, [batch, height, width]: 1 in the mean. */
  seen(): Tensor | undefined
}

/** Watches the middle's first self-attention. Source: Hong et al. 2023, "Improving sample quality of diffusion models using self-attention guidance", eq. 8. */
export function watchAttention(): Watching {
  let seen: Tensor | undefined
  return {
    seen: () => seen,
    change: {
      attendSelf: (_, { part, size }) =>
        part !== 'middle' || seen
          ? undefined
          : (q, k, v) => {
              const scores = softmax(mul(matmul(q, transpose(k)), 1 / Math.sqrt(q.shape.at(-1)!)))
              seen ??= reshape(sum(mean(scores, { axes: 1 }), { axes: 1 }), [q.shape[0]!, ...size])
              return matmul(scores, v)
            },
    },
  }
}
