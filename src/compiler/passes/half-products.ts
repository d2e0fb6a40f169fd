import { apply, type Tensor } from '../../tensor/tensor.js'
import { cast } from '../../tensor/unary.js'
import { rewrite } from '../../tensor/walk.js'

/** Where most of the time goes, and sums are short enough for float16. */
const products = new Set(['conv2d', 'conv2dInputGradient', 'matmul'])

/**
 * Products in float16 between float32 everything else: norms, softmax, losses, and the gradients of weights, whose sums
 * over batch and places float16 would round away. What torch's autocast does, but for the last.
 */
export const halfProducts = (roots: readonly Tensor[]): Tensor[] =>
  rewrite(roots, node =>
    products.has(node.op.name) && node.dtype === 'f32'
      ? cast(apply(node.op, node.inputs.map(narrow), node.attributes), 'f32')
      : undefined,
  )

/** x in float16; what was in float16 before it was widened is so still. */
const narrow = (x: Tensor): Tensor =>
  x.op.name === 'cast' && x.inputs[0]!.dtype === 'f16' ? x.inputs[0]! : cast(x, 'f16')
