import { operand } from './constant.js'
import { map2 } from './evaluate.js'
import { sumTo } from './reduce.js'
import { broadcastShapes, sizeOf } from './shape.js'
import { apply, type Operation, type Tensor } from './tensor.js'

const whereOperation: Operation = {
  name: 'where',
  infer: ([condition, x, y]) => {
    if (condition!.dtype !== 'bool') throw new TypeError(`where: the condition is ${condition!.dtype}, wanted bool`)
    if (x!.dtype !== y!.dtype) throw new TypeError(`where: dtypes ${x!.dtype} and ${y!.dtype} differ: cast one of them`)
    const shape = broadcastShapes('where', condition!.shape, broadcastShapes('where', x!.shape, y!.shape))
    return { shape, dtype: x!.dtype }
  },
  evaluate: ([condition, x, y], _, shape) => {
    const full = { shape, data: new Float64Array(sizeOf(shape)) }
    const chosen = { shape, data: map2(full, condition!, (_, c) => c) }
    const a = map2(full, x!, (_, v) => v)
    const b = map2(full, y!, (_, v) => v)
    return chosen.data.map((c, i) => (c ? a[i]! : b[i]!))
  },
  reorder: attributes => attributes,
  emit: (to, inputs) => to.node('Where', inputs),
  gradient: (g, { inputs: [condition, x, y] }) => [
    undefined,
    sumTo(where(condition!, g, 0), x!.shape),
    sumTo(where(condition!, 0, g), y!.shape),
  ],
}

/** Elements of x where the boolean condition holds, else of y; all three broadcast. */
export function where(condition: Tensor, x: Tensor | number, y: Tensor | number): Tensor {
  const like = typeof x === 'number' ? (typeof y === 'number' ? 'f32' : y.dtype) : x.dtype
  return apply(whereOperation, [condition, operand(x, like), operand(y, like)], {})
}
