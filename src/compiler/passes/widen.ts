import { expandTo } from '../../tensor/reshape.js'
import type { Tensor } from '../../tensor/tensor.js'
import { rewrite } from '../../tensor/walk.js'

const elementwise = new Set(['add', 'sub', 'mul', 'div', 'maximum', 'minimum'])

/**
 * The runtime's elementwise kernels stretch an operand fast where whole rows repeat, and slowly where single numbers do:
 * a small operand like [1, batch, groups, 1] is first stretched along its last axes by itself, which costs next to nothing.
 */
export const widenOperands = (roots: readonly Tensor[]): Tensor[] =>
  rewrite(roots, node => {
    if (!elementwise.has(node.op.name)) return undefined
    const inputs = node.inputs.map(t => widened(t, node))
    return inputs.every((t, i) => t === node.inputs[i]) ? undefined : { ...node, inputs }
  })

function widened(t: Tensor, { shape }: Tensor): Tensor {
  const missing = shape.length - t.shape.length
  const last = t.shape.findLastIndex(size => size !== 1)
  const stretchedAfter = t.shape.some((size, i) => i > last && size !== shape[i + missing])
  const stretchedBefore = shape.some((size, i) => i < last + missing && size !== (t.shape[i - missing] ?? 1))
  if (last < 0 || !stretchedAfter || !stretchedBefore || shape.some(size => size < 0)) return t
  return expandTo(
    t,
    t.shape.map((size, i) => (i > last ? shape[i + missing]! : size)),
  )
}
