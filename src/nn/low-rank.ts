import { add, div, mul } from '../tensor/binary.js'
import { stopGradient } from '../tensor/control.js'
import { matmul } from '../tensor/matmul.js'
import type { Scope } from '../tensor/program.js'
import { sum } from '../tensor/reduce.js'
import { reshape } from '../tensor/reshape.js'
import { sizeOf } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import { sqrt, square } from '../tensor/unary.js'
import { ones, torchDefault, zeros } from './initialisers.js'

export interface LowRankOptions {
  rank: number
  /** The product is scaled by alpha / rank; the rank by default. */
  alpha?: number
  /** Trains the length of each output's weights apart from their direction (DoRA). */
  decompose?: boolean
}

/**
 * A weight [out, in, ...kernel] plus a trained product of low rank, at first 0 (Hu et al. 2021, LoRA): of a linear layer
 * as of a convolution. Parameters `lora_down.weight` [rank, in, ...kernel], `lora_up.weight` [out, rank, ...1] and, where
 * decomposed, `dora_scale` [out, ...1], which must start as the lengths of the weight (Liu et al. 2024, DoRA).
 */
export function lowRank(at: Scope, weight: Tensor, options: LowRankOptions): Tensor {
  const { rank, alpha = rank, decompose = false } = options
  const [out, ...rest] = weight.shape as [number, ...number[]]
  const [, ...kernel] = rest
  const single = kernel.map(() => 1)
  const down = at('lora_down').parameter('weight', [rank, ...rest], torchDefault(sizeOf(rest)))
  const up = at('lora_up').parameter('weight', [out, rank, ...single], zeros)
  const product = matmul(reshape(up, [out, rank]), reshape(down, [rank, sizeOf(rest)]))
  const moved = add(weight, mul(reshape(product, weight.shape), alpha / rank))
  if (!decompose) return moved
  const magnitude = at.parameter('dora_scale', [out, 1, ...single], ones)
  // Section 4.3 of the paper: the length is a constant to gradients, which costs little accuracy and saves much memory.
  const length = stopGradient(sqrt(sum(square(moved), { axes: rest.map((_, i) => i + 1), keep: true })))
  return mul(moved, div(magnitude, length))
}
