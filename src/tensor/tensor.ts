import type { Dtype } from './dtype.js'
import type { Emitter } from './emitter.js'
import type { Shape } from './shape.js'

export type { Dtype }

/** What an operation knows beside its inputs: plain data, so that two nodes can be compared. */
export type Attributes = Readonly<Record<string, unknown>>

/** A symbolic tensor: the operation that makes it, from what. Nothing is computed until a program runs. */
export interface Tensor<A extends Attributes = Attributes> {
  readonly op: Operation<A>
  readonly inputs: readonly Tensor[]
  readonly attributes: A
  readonly shape: Shape
  readonly dtype: Dtype
}

/** Numbers of the oracle: everything in f64, whatever the dtype (booleans are 0 and 1). */
export interface Value {
  readonly shape: Shape
  readonly data: Float64Array
}

/** One operation of the language: all that is known of it stands in one place. */
export interface Operation<A extends Attributes = Attributes> {
  readonly name: string
  /** Shape and dtype of the result; throws RangeError or TypeError where the inputs do not fit. */
  infer(inputs: readonly Tensor[], attributes: A): { shape: Shape; dtype: Dtype }
  /** The definition in plain f64 loops, the oracle of every test. */
  evaluate(inputs: readonly Value[], attributes: A, shape: Shape): Float64Array
  /** Gradient with respect to each input, given that of the result, written in the language itself; undefined = none. */
  gradient?(gradient: Tensor, node: Tensor<A>): readonly (Tensor | undefined)[]
  /**
   * Attributes for the same operation on inputs whose axis i is axis order[i] of the real ones, all of the result's rank;
   * undefined where that order does not suit it. Absent where the order of axes matters.
   */
  reorder?(attributes: A, order: readonly number[]): A | undefined
  /** ONNX nodes for it; returns the name of the result. Absent where a lowering must rewrite the operation first. */
  emit?(to: Emitter, inputs: readonly string[], node: Tensor<A>): string
}

/** Makes the function that applies an operation: it infers the result's shape at once, so mistakes show where they are written. */
export function apply<A extends Attributes>(op: Operation<A>, inputs: readonly Tensor[], attributes: A): Tensor {
  const { shape, dtype } = op.infer(inputs, attributes)
  return { op: op as unknown as Operation, inputs, attributes, shape, dtype }
}

/** A tensor whose numbers are handed in when the program runs. */
export const input: Operation<{ name: string; shape: Shape; dtype: Dtype }> = {
  name: 'input',
  infer: (_, { shape, dtype }) => ({ shape, dtype }),
  evaluate: (_, { name }) => {
    throw new TypeError(`input "${name}" has no value of its own: hand one to evaluate()`)
  },
  emit: (_, __, { attributes }) => attributes.name,
}

/** A trained tensor. `init` says how it starts. */
export const parameter: Operation<{ name: string; shape: Shape; dtype: Dtype; init: Initialiser }> = {
  name: 'parameter',
  infer: (_, { shape, dtype }) => ({ shape, dtype }),
  evaluate: (_, { name }) => {
    throw new TypeError(`parameter "${name}" has no value of its own: hand one to evaluate()`)
  },
  emit: (_, __, { attributes }) => attributes.name,
}

/** How a parameter starts, as plain data: drawn by whoever owns the random generator. */
export type Initialiser =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'normal'; readonly std: number; readonly mean?: number }
  | { readonly kind: 'uniform'; readonly bound: number }

/** Shape and dtype of a program's input. */
export interface Spec {
  readonly dtype: Dtype
  readonly shape: Shape
}

/** An input of 32-bit floats: `f32(2, 4, 8, 8)`; a first size of -1 leaves the batch open. */
export const f32 = (...shape: number[]): Spec => ({ dtype: 'f32', shape })
/** An input of 16-bit floats. */
export const f16 = (...shape: number[]): Spec => ({ dtype: 'f16', shape })
/** An input of 64-bit integers, such as token ids. */
export const i64 = (...shape: number[]): Spec => ({ dtype: 'i64', shape })
/** An input of truth values, such as a mask. */
export const bool = (...shape: number[]): Spec => ({ dtype: 'bool', shape })
