import { broadcastStrides } from './evaluate.js'
import { sumTo } from './reduce.js'
import { transpose } from './reshape.js'
import { broadcastShapes, type Shape, sameShape, show, sizeOf, stridesOf } from './shape.js'
import { apply, type Operation, type Tensor, type Value } from './tensor.js'

/** Whether the last two axes of an operand are read the other way round, which saves copying them. */
type MatmulAttributes = { readonly transposeA: boolean; readonly transposeB: boolean }

/** Rows and columns of an operand as the product sees it. */
const sides = (shape: Shape, swapped: boolean): [number, number] => {
  const [rows, columns] = shape.slice(-2) as [number, number]
  return swapped ? [columns, rows] : [rows, columns]
}

const matmulOperation: Operation<MatmulAttributes> = {
  name: 'matmul',
  infer: ([a, b], { transposeA, transposeB }) => {
    const [x, y] = [a!.shape, b!.shape]
    const [m, k] = sides(x, transposeA)
    const [inner, n] = sides(y, transposeB)
    if (x.length < 2 || y.length < 2 || k !== inner) {
      throw new RangeError(
        `matmul: ${show(x)} times ${show(y)} does not fit: the last axis of the first (${show([k])}) must equal the second-last of the second (${show([inner])})`,
      )
    }
    return { shape: [...broadcastShapes('matmul', x.slice(0, -2), y.slice(0, -2)), m, n], dtype: a!.dtype }
  },
  evaluate: ([a, b], { transposeA, transposeB }, shape) => {
    const [m, n] = shape.slice(-2) as [number, number]
    const [, k] = sides(a!.shape, transposeA)
    const batch = shape.slice(0, -2)
    const out = new Float64Array(sizeOf(shape))
    const counts = stridesOf(batch)
    const aStrides = broadcastStrides(a!.shape.slice(0, -2), batch)
    const bStrides = broadcastStrides(b!.shape.slice(0, -2), batch)
    const [aRow, aColumn] = transposeA ? [1, m] : [k, 1]
    const [bRow, bColumn] = transposeB ? [1, k] : [n, 1]
    for (let i = 0; i < sizeOf(batch); i++) {
      const at = (strides: number[]) =>
        strides.reduce((sum, stride, axis) => sum + stride * (Math.floor(i / counts[axis]!) % batch[axis]!), 0)
      const [p, q] = [at(aStrides) * m * k, at(bStrides) * k * n]
      for (let r = 0; r < m; r++) {
        for (let c = 0; c < n; c++) {
          let sum = 0
          for (let j = 0; j < k; j++) sum += a!.data[p + r * aRow + j * aColumn]! * b!.data[q + j * bRow + c * bColumn]!
          out[(i * m + r) * n + c] = sum
        }
      }
    }
    return out
  },
  emit: (to, [a, b], { inputs, attributes: { transposeA, transposeB } }) => {
    const flags = { transA: +transposeA, transB: +transposeB }
    if (!transposeA && !transposeB) return to.node('MatMul', [a!, b!])
    if (inputs.every(t => t.shape.length === 2)) return to.node('Gemm', [a!, b!], flags)
    return to.node('FusedMatMul', [a!, b!], flags, { domain: 'com.microsoft' })
  },
  gradient: (g, { inputs, attributes: { transposeA, transposeB } }) => {
    const [a, b] = inputs as [Tensor, Tensor]
    const [left, right] = [transposeA ? transpose(a) : a, transposeB ? transpose(b) : b]
    const toLeft = sumTo(matmul(g, transpose(right)), left.shape)
    const toRight = right.shape.length === 2 ? contract(left, g) : sumTo(matmul(transpose(left), g), right.shape)
    return [transposeA ? transpose(toLeft) : toLeft, transposeB ? transpose(toRight) : toRight]
  },
}

/**
 * Product of matrices, batched: [..., m, k] x [..., k, n] -> [..., m, n], leading axes broadcast. Throws RangeError where
 * the shapes do not fit.
 */
export const matmul = (
  a: Tensor,
  b: Tensor,
  { transposeA = false, transposeB = false }: Partial<MatmulAttributes> = {},
): Tensor => apply(matmulOperation, [a, b], { transposeA, transposeB })

const rowsOf = (t: Value | Tensor): number => sizeOf(t.shape) / t.shape.at(-1)!

const contractOperation: Operation = {
  name: 'contract',
  infer: ([a, b]) => {
    if (!sameShape(a!.shape.slice(0, -1), b!.shape.slice(0, -1)) || a!.shape.length < 2) {
      throw new RangeError(
        `contract: ${show(a!.shape)} and ${show(b!.shape)} do not fit: all axes but the last must be equal`,
      )
    }
    return { shape: [a!.shape.at(-1)!, b!.shape.at(-1)!], dtype: a!.dtype }
  },
  evaluate: ([a, b], _, shape) => {
    const [k, n] = shape as [number, number]
    const out = new Float64Array(k * n)
    for (let row = 0; row < rowsOf(a!); row++) {
      for (let i = 0; i < k; i++) {
        for (let j = 0; j < n; j++) out[i * n + j]! += a!.data[row * k + i]! * b!.data[row * n + j]!
      }
    }
    return out
  },
  emit: (to, names, { inputs }) => {
    const rows = inputs.map((t, i) =>
      t.shape.length === 2 ? names[i]! : to.node('Reshape', [names[i]!, to.reshapeTo([rowsOf(t), t.shape.at(-1)!])]),
    )
    return to.node('Gemm', rows, { transA: 1 })
  },
  gradient: (g, { inputs: [a, b] }) => [matmul(b!, transpose(g)), matmul(a!, g)],
}

/**
 * Sum over all leading axes of the products of last axes: [..., k] x [..., n] -> [k, n]. The gradient of a linear map's
 * weight is one, whatever the order of the leading axes.
 */
export const contract = (a: Tensor, b: Tensor): Tensor => apply(contractOperation, [a, b], {})
