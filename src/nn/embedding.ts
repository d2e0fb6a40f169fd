import { gather } from '../tensor/gather.js'
import type { Scope } from '../tensor/program.js'
import type { Initialiser, Tensor } from '../tensor/tensor.js'
import { normal } from './initialisers.js'

export interface EmbeddingOptions {
  /** Number of rows; ids are 0 to count - 1. */
  count: number
  width: number
  /** Unit normal otherwise, as torch's Embedding. */
  init?: Initialiser
}

/** Rows of a table: i64 ids [...] -> [..., width]. Parameter `weight` [count, width]. */
export const embedding = (at: Scope, ids: Tensor, { count, width, init = normal(1) }: EmbeddingOptions): Tensor =>
  gather(at.parameter('weight', [count, width], init), ids)
