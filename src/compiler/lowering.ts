import type { Attributes, Operation, Tensor } from '../tensor/tensor.js'
import type { Target } from './target.js'

/** A rule from program to program: the same value by other operations, where it applies. */
export interface Lowering<A extends Attributes = Attributes> {
  /** Unique among the lowerings of its operation; the tuning cache refers to it. */
  readonly name: string
  /** The operation that it rewrites, by name. */
  readonly op: Operation<A>['name']
  /** Whether it can stand in for this node on this target. */
  fits(node: Tensor<A>, target: Target): boolean
  /** Whether it is the one to take where nothing was measured; absent means always. */
  pays?(node: Tensor<A>, target: Target): boolean
  rewrite(node: Tensor<A>, target: Target): Tensor
}
