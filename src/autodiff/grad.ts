import { add } from '../tensor/binary.js'
import { constant } from '../tensor/constant.js'
import { expandTo } from '../tensor/reshape.js'
import { sameShape, show } from '../tensor/shape.js'
import type { Tensor } from '../tensor/tensor.js'
import { topological } from '../tensor/walk.js'

/**
 * Gradients of a scalar with respect to tensors it depends on, as tensors of the same program (so they can be
 * differentiated again). A tensor that the scalar does not depend on gets zeros.
 *
 * @throws RangeError where the first tensor is no scalar; TypeError where an operation on the way has no gradient.
 * @example
 * const [dx] = grad(sum(square(x)), [x])   // 2x
 */
export function grad(scalar: Tensor, withRespectTo: readonly Tensor[]): Tensor[] {
  if (scalar.shape.length !== 0) {
    throw new RangeError(`grad: wanted a scalar, got a tensor ${show(scalar.shape)}: reduce it first, with mean or sum`)
  }
  return pullback(scalar, constant(1, [], scalar.dtype), withRespectTo)
}

/** The vector-Jacobian product: what the gradient of `output` means for the tensors it depends on. */
export function pullback(output: Tensor, gradient: Tensor, withRespectTo: readonly Tensor[]): Tensor[] {
  const order = topological([output])
  const wanted = new Set(withRespectTo)
  const needed = new Set<Tensor>()
  for (const node of order) {
    if (wanted.has(node) || node.inputs.some(t => needed.has(t))) needed.add(node)
  }
  const gradients = new Map<Tensor, Tensor>([[output, gradient]])
  for (const node of order.reverse()) {
    const soFar = gradients.get(node)
    if (soFar === undefined || !node.inputs.some(t => needed.has(t))) continue
    for (const [i, part] of partsOf(node, soFar).entries()) {
      const target = node.inputs[i]!
      if (part === undefined || !needed.has(target)) continue
      if (!sameShape(part.shape, target.shape)) {
        throw new RangeError(
          `gradient rule of ${node.op.name}: input ${i} has shape ${show(target.shape)}, its gradient ${show(part.shape)}`,
        )
      }
      const other = gradients.get(target)
      gradients.set(target, other === undefined ? part : add(other, part))
    }
  }
  return withRespectTo.map(t => gradients.get(t) ?? expandTo(constant(0, [], t.dtype), t.shape))
}

function partsOf(node: Tensor, gradient: Tensor): readonly (Tensor | undefined)[] {
  if (node.op.gradient === undefined) {
    if (node.dtype === 'i64' || node.dtype === 'bool') return []
    throw new TypeError(`grad: the operation "${node.op.name}" has no gradient; pass its result through stopGradient`)
  }
  return node.op.gradient(gradient, node)
}
