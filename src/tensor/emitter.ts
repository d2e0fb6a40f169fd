import type { Dtype } from './dtype.js'
import type { Shape } from './shape.js'

/** Attribute of an ONNX node: integers, floats (marked), strings and lists of integers. */
export type NodeAttribute = number | string | readonly number[] | { readonly float: number }

/** What an operation writes its ONNX nodes to. Names stand for values; the compiler makes them unique. */
export interface Emitter {
  /** Adds a node and returns the name of its first result, or of the `result`-th. An empty input name leaves an optional input out. */
  node(
    type: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, NodeAttribute>>,
    options?: { domain?: string; result?: number },
  ): string
  /** A constant tensor; equal ones are written once. */
  constant(dtype: Dtype, shape: Shape, data: ArrayLike<number>): string
  /** A list of integers, as Reshape, Slice and their like want their arguments. */
  ints(values: readonly number[]): string
  /** The shape as an i64 list for Reshape: the open axis becomes -1. */
  reshapeTo(shape: Shape): string
  /** The shape as an i64 list with the open batch looked up at run time, for Expand. */
  shapeOf(shape: Shape): string
}
