import { broadcastStrides } from './evaluate.js'
import { sumTo } from './reduce.js'
import { transpose } from './reshape.js'
import { broadcastShapes, type Shape, show, sizeOf, stridesOf } from './shape.js'
import { apply, type Operation, type Tensor } from './tensor.js'

const matmulOperation: Operation = {
  name: 'matmul',
  infer: ([a, b]) => {
    const [x, y] = [a!.shape, b!.shape]
    if (x.length < 2 || y.length < 2 || x.at(-1) !== y.at(-2)) {
      throw new RangeError(
        `matmul: ${show(x)} times ${show(y)} does not fit: the last axis of the first (${show(x.slice(-1))}) must equal the second-last of the second`,
      )
    }
    return {
      shape: [...broadcastShapes('matmul', x.slice(0, -2), y.slice(0, -2)), x.at(-2)!, y.at(-1)!],
      dtype: a!.dtype,
    }
  },
  evaluate: ([a, b], _, shape) => {
    const [m, n] = shape.slice(-2) as [number, number]
    const k = a!.shape.at(-1)!
    const batch = shape.slice(0, -2)
    const out = new Float64Array(sizeOf(shape))
    const counts = stridesOf(batch)
    const aStrides = broadcastStrides(a!.shape.slice(0, -2), batch)
    const bStrides = broadcastStrides(b!.shape.slice(0, -2), batch)
    for (let i = 0; i < sizeOf(batch); i++) {
      const at = (strides: number[]) =>
        strides.reduce((sum, stride, axis) => sum + stride * (Math.floor(i / counts[axis]!) % batch[axis]!), 0)
      const [p, q] = [at(aStrides) * m * k, at(bStrides) * k * n]
      for (let r = 0; r < m; r++) {
        for (let c = 0; c < n; c++) {
          let sum = 0
          for (let j = 0; j < k; j++) sum += a!.data[p + r * k + j]! * b!.data[q + j * n + c]!
          out[(i * m + r) * n + c] = sum
        }
      }
    }
    return out
  },
  emit: (to, inputs) => to.node('MatMul', inputs),
  gradient: (g, { inputs: [a, b] }) => [productFor(g, transpose(b!), a!.shape), productFor(transpose(a!), g, b!.shape)],
}

const productFor = (a: Tensor, b: Tensor, shape: Shape): Tensor => sumTo(matmul(a, b), shape)

/** Product of matrices, batched: [..., m, k] x [..., k, n] -> [..., m, n], leading axes broadcast. */
export const matmul = (a: Tensor, b: Tensor): Tensor => apply(matmulOperation, [a, b], {})
