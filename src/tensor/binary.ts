import { operand } from './constant.js'
import { map2 } from './evaluate.js'
import { sumTo } from './reduce.js'
import { broadcastShapes } from './shape.js'
import { apply, type Dtype, type Operation, type Tensor } from './tensor.js'
import { log, neg } from './unary.js'
import { where } from './where.js'

interface BinaryDefinition {
  readonly onnx: string
  readonly f: (x: number, y: number) => number
  /** Gradients with respect to both operands, before they are summed to the operands' shapes. */
  readonly gradient?: (g: Tensor, x: Tensor, y: Tensor, out: Tensor) => readonly [Tensor, Tensor]
  readonly result?: Dtype
}

/** An elementwise operation of two broadcast tensors. */
function binary(name: string, { onnx, f, gradient, result }: BinaryDefinition) {
  const op: Operation = {
    name,
    infer: ([x, y]) => {
      if (x!.dtype !== y!.dtype)
        throw new TypeError(`${name}: dtypes ${x!.dtype} and ${y!.dtype} differ: cast one of them`)
      return { shape: broadcastShapes(name, x!.shape, y!.shape), dtype: result ?? x!.dtype }
    },
    evaluate: ([x, y]) => map2(x!, y!, f),
    reorder: attributes => attributes,
    emit: (to, inputs) => to.node(onnx, inputs),
    ...(gradient && {
      gradient: (g: Tensor, node: Tensor) => {
        const [x, y] = node.inputs as [Tensor, Tensor]
        const [gx, gy] = gradient(g, x, y, node)
        return [sumTo(gx, x.shape), sumTo(gy, y.shape)]
      },
    }),
  }
  return (x: Tensor | number, y: Tensor | number): Tensor => {
    const like = typeof x === 'number' ? (typeof y === 'number' ? 'f32' : y.dtype) : x.dtype
    return apply(op, [operand(x, like), operand(y, like)], {})
  }
}

/** x + y. */
export const add = binary('add', { onnx: 'Add', f: (x, y) => x + y, gradient: g => [g, g] })
/** x - y. */
export const sub = binary('sub', { onnx: 'Sub', f: (x, y) => x - y, gradient: g => [g, neg(g)] })
/** x * y. */
export const mul = binary('mul', { onnx: 'Mul', f: (x, y) => x * y, gradient: (g, x, y) => [mul(g, y), mul(g, x)] })
/** x / y. */
export const div = binary('div', {
  onnx: 'Div',
  f: (x, y) => x / y,
  gradient: (g, _, y, out) => [div(g, y), neg(div(mul(g, out), y))],
})
/** x to the power y; where x is not positive, the gradient with respect to y is 0. */
export const pow = binary('pow', {
  onnx: 'Pow',
  f: (x, y) => x ** y,
  gradient: (g, x, y, out) => [mul(g, mul(y, pow(x, sub(y, 1)))), mul(g, mul(out, log(where(greater(x, 0), x, 1))))],
})
/** The larger of both; at a tie the gradient goes to x. */
export const maximum = binary('maximum', {
  onnx: 'Max',
  f: Math.max,
  gradient: (g, x, y) => [where(greaterOrEqual(x, y), g, 0), where(greaterOrEqual(x, y), 0, g)],
})
/** The smaller of both; at a tie the gradient goes to x. */
export const minimum = binary('minimum', {
  onnx: 'Min',
  f: Math.min,
  gradient: (g, x, y) => [where(lessOrEqual(x, y), g, 0), where(lessOrEqual(x, y), 0, g)],
})
/** Comparisons: boolean results. */
export const equal = binary('equal', { onnx: 'Equal', f: (x, y) => +(x === y), result: 'bool' })
export const less = binary('less', { onnx: 'Less', f: (x, y) => +(x < y), result: 'bool' })
export const lessOrEqual = binary('lessOrEqual', { onnx: 'LessOrEqual', f: (x, y) => +(x <= y), result: 'bool' })
export const greater = binary('greater', { onnx: 'Greater', f: (x, y) => +(x > y), result: 'bool' })
export const greaterOrEqual = binary('greaterOrEqual', {
  onnx: 'GreaterOrEqual',
  f: (x, y) => +(x >= y),
  result: 'bool',
})
/** Logical operations on booleans. */
export const and = binary('and', { onnx: 'And', f: (x, y) => +(x !== 0 && y !== 0), result: 'bool' })
export const or = binary('or', { onnx: 'Or', f: (x, y) => +(x !== 0 || y !== 0), result: 'bool' })
