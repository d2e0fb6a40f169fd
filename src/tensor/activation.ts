import { add, greater, mul, sub } from './binary.js'
import { apply, type Operation, type Tensor } from './tensor.js'
import { exp, neg, sigmoid, square, tanh, unary } from './unary.js'
import { where } from './where.js'

/** x sigmoid(x), also called swish. */
export const silu = unary('silu', {
  onnx: (to, x) => to.node('Mul', [x, to.node('Sigmoid', [x])]),
  f: x => x / (1 + Math.exp(-x)),
  gradient: (g, x, y) => {
    const s = sigmoid(x)
    return mul(g, add(mul(y, sub(1, s)), s))
  },
})

/** The error function. */
export const erf = unary('erf', {
  onnx: 'Erf',
  f: erfOf,
  gradient: (g, x) => mul(g, mul(exp(neg(square(x))), 2 / Math.sqrt(Math.PI))),
})

/** erf(x) = 2 / sqrt(pi) exp(-x²) sum of 2^n x^(2n+1) / (2n+1)!!, a series without cancellation. */
function erfOf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x)
  let term = x
  let total = x
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(total); n++) {
    term *= (2 * x * x) / (2 * n + 1)
    total += term
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * total
}

/** x times the normal distribution function of x: (1 + erf(x / sqrt 2)) x / 2. */
export const gelu = unary('gelu', {
  onnx: (to, x) => to.node('Gelu', [x]),
  f: x => (x / 2) * (1 + erfOf(x * Math.SQRT1_2)),
  gradient: (g, x) => {
    const distribution = mul(add(erf(mul(x, Math.SQRT1_2)), 1), 0.5)
    const density = mul(exp(mul(square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI))
    return mul(g, add(distribution, mul(x, density)))
  },
})

/** GELU's approximation by tanh. */
export const geluTanh = (x: Tensor): Tensor => {
  const inner = mul(mul(x, add(mul(square(x), 0.044715), 1)), Math.sqrt(2 / Math.PI))
  return mul(mul(x, 0.5), add(tanh(inner), 1))
}

/** GELU's approximation x sigmoid(1.702 x), as in OpenAI's CLIP. */
export const quickGelu = (x: Tensor): Tensor => mul(x, sigmoid(mul(x, 1.702)))

/** max(x, 0); its gradient at 0 is 0. */
export const relu = unary('relu', {
  onnx: 'Relu',
  f: x => Math.max(x, 0),
  gradient: (g, x) => where(greater(x, 0), g, 0),
})

const leakyReluOperation: Operation<{ slope: number }> = {
  name: 'leakyRelu',
  infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
  evaluate: ([x], { slope }) => x!.data.map(v => (v > 0 ? v : v * slope)),
  reorder: attributes => attributes,
  emit: (to, inputs, { attributes }) => to.node('LeakyRelu', inputs, { alpha: { float: attributes.slope } }),
  gradient: (g, { inputs: [x], attributes: { slope } }) => [where(greater(x!, 0), g, mul(g, slope))],
}

/** x where it is positive, else slope x. */
export const leakyRelu = (x: Tensor, slope = 0.01): Tensor => apply(leakyReluOperation, [x], { slope })

/** log(1 + e^x). */
export const softplus = unary('softplus', {
  onnx: 'Softplus',
  f: x => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  gradient: (g, x) => mul(g, sigmoid(x)),
})
