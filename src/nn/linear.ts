import { add } from '../tensor/binary.js'
import { matmul } from '../tensor/matmul.js'
import type { Scope } from '../tensor/program.js'
import { transpose } from '../tensor/reshape.js'
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
