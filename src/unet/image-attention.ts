import { splitHeads } from '../nn/attention.js'
import { linear } from '../nn/linear.js'
import { attention } from '../tensor/attention.js'
import { add, mul } from '../tensor/binary.js'
import type { Scope } from '../tensor/program.js'
import type { Tensor } from '../tensor/tensor.js'
import type { UnetChange } from './changes.js'

/**
 * Decoupled cross-attention (Ye et al. 2023, IP-Adapter, eq. 5): beside the context every transformer attends, by keys and
 * values of its own, to tokens [batch, n, width] of a picture, which count `strength` [batch, 1, 1, 1]. Its parameters
 * are `PATH.to_k_ip.weight` and `PATH.to_v_ip.weight` below `at`, PATH being that of the transformer's block.
 */
export const imageAttention = (at: Scope, tokens: Tensor, strength: Tensor): UnetChange => ({
  attendContext: (plain, { path }) => {
    return (q, k, v) => {
      const [, heads, , size] = q.shape as [number, number, number, number]
      const projected = (name: string) =>
        splitHeads(linear(at(path)(name), tokens, { out: heads * size, bias: false }), heads)
      return add(plain(q, k, v), mul(attention(q, projected('to_k_ip'), projected('to_v_ip')), strength))
    }
  },
})
