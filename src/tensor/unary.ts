import { add, div, greater, less, mul, sub } from './binary.js'
import type { Emitter } from './emitter.js'
import { apply, type Dtype, type Operation, type Tensor } from './tensor.js'
import { where } from './where.js'

interface UnaryDefinition {
  readonly f: (x: number) => number
  /** ONNX operator of the same meaning, or what writes the nodes. */
  readonly onnx: string | ((to: Emitter, x: string) => string)
  readonly gradient?: (g: Tensor, x: Tensor, out: Tensor) => Tensor | undefined
}

/** An elementwise operation of one tensor. */
export function unary(name: string, { f, onnx, gradient }: UnaryDefinition) {
  const op: Operation = {
    name,
    infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
    evaluate: ([x]) => x!.data.map(f),
    reorder: attributes => attributes,
    emit: (to, [x]) => (typeof onnx === 'string' ? to.node(onnx, [x!]) : onnx(to, x!)),
    ...(gradient && { gradient: (g: Tensor, node: Tensor) => [gradient(g, node.inputs[0]!, node)] }),
  }
  return (x: Tensor): Tensor => apply(op, [x], {})
}

/** -x. */
export const neg = unary('neg', { onnx: 'Neg', f: x => -x, gradient: g => neg(g) })
/** e^x. */
export const exp = unary('exp', { onnx: 'Exp', f: Math.exp, gradient: (g, _, y) => mul(g, y) })
/** Natural logarithm. */
export const log = unary('log', { onnx: 'Log', f: Math.log, gradient: (g, x) => div(g, x) })
/** Square root. */
export const sqrt = unary('sqrt', { onnx: 'Sqrt', f: Math.sqrt, gradient: (g, _, y) => div(g, mul(y, 2)) })
/** Absolute value; its gradient at 0 is 0, as torch's. */
export const abs = unary('abs', {
  onnx: 'Abs',
  f: Math.abs,
  // Not by sign, which WebGPU's kernels lack.
  gradient: (g, x) => where(greater(x, 0), g, where(less(x, 0), neg(g), 0)),
})
/** -1, 0 or 1; its gradient is 0. */
export const sign = unary('sign', { onnx: 'Sign', f: Math.sign, gradient: () => undefined })
/** Hyperbolic tangent. */
export const tanh = unary('tanh', {
  onnx: 'Tanh',
  f: Math.tanh,
  gradient: (g, _, y) => mul(g, sub(1, mul(y, y))),
})
/** 1 / (1 + e^-x). */
export const sigmoid = unary('sigmoid', {
  onnx: 'Sigmoid',
  f: x => 1 / (1 + Math.exp(-x)),
  gradient: (g, _, y) => mul(g, mul(y, sub(1, y))),
})
/** Sine. */
export const sin = unary('sin', { onnx: 'Sin', f: Math.sin, gradient: (g, x) => mul(g, cos(x)) })
/** Cosine. */
export const cos = unary('cos', { onnx: 'Cos', f: Math.cos, gradient: (g, x) => neg(mul(g, sin(x))) })
/** The boolean opposite. */
export const not = unary('not', { onnx: 'Not', f: x => +(x === 0) })

/** x². */
export const square = (x: Tensor): Tensor => mul(x, x)

const castOperation: Operation<{ to: Dtype }> = {
  name: 'cast',
  infer: ([x], { to }) => ({ shape: x!.shape, dtype: to }),
  evaluate: ([x], { to }) =>
    to === 'i64' ? x!.data.map(Math.trunc) : to === 'bool' ? x!.data.map(v => +(v !== 0)) : x!.data,
  reorder: attributes => attributes,
  emit: (to, inputs, { attributes }) =>
    to.node('Cast', inputs, { to: { f32: 1, f16: 10, i64: 7, bool: 9, i8: 3, i4: 22, u4: 21 }[attributes.to] }),
  gradient: (g, { inputs: [x] }) => [x!.dtype === 'f32' || x!.dtype === 'f16' ? cast(g, x!.dtype) : undefined],
}

/** The same numbers as another dtype. */
export const cast = (x: Tensor, to: Dtype): Tensor => (x.dtype === to ? x : apply(castOperation, [x], { to }))

/** Sum of many tensors. */
export const addAll = (terms: readonly Tensor[]): Tensor => terms.reduce((sum, term) => add(sum, term))
