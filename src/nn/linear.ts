import { add } from '../tensor/binary.js'
import { matmul } from '../tensor/matmul.js'
import type { Scope } from '../tensor/program.js'
import { transpose } from '../tensor/reshape.js'
import { split } from '../tensor/slice.js'
import type { Initialiser, Tensor } from '../tensor/tensor.js'
import { torchDefault } from './initialisers.js'

export interface LinearOptions {
  out: number
  bias?: boolean
  /** Of weight and bias; torch's default otherwise. */
  init?: Initialiser
}

/** Affine map of the last axis: [..., in] -> [..., out]. Parameters `weight` [out, in] and `bias` [out]. */
export function linear(at: Scope, x: Tensor, { out, bias = true, init }: LinearOptions): Tensor {
  const fanIn = x.shape.at(-1)!
  const start = init ?? torchDefault(fanIn)
  const product = matmul(x, transpose(at.parameter('weight', [out, fanIn], start)))
  return bias ? add(product, at.parameter('bias', [out], start)) : product
}

/**
 * A linear map in equal parts of its result, each by its rows of the weight: what is several times as wide as x is never
 * made in one piece only to be cut.
 */
export function linearInParts(
  at: Scope,
  x: Tensor,
  { out, parts, bias = true }: { out: number; parts: number; bias?: boolean },
): Tensor[] {
  const fanIn = x.shape.at(-1)!
  const weights = split(at.parameter('weight', [out, fanIn], torchDefault(fanIn)), parts, { axis: 0 })
  const products = weights.map(weight => matmul(x, transpose(weight)))
  if (!bias) return products
  const biases = split(at.parameter('bias', [out], torchDefault(fanIn)), parts, { axis: 0 })
  return products.map((product, i) => add(product, biases[i]!))
}
