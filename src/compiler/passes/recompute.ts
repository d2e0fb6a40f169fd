import { after } from '../../autodiff/checkpoint.js'
import { sizeOf } from '../../tensor/shape.js'
import type { Tensor } from '../../tensor/tensor.js'
import { topological } from '../../tensor/walk.js'

/** Operations beside the elementwise ones that cost little for each element of their result. */
const cheap = new Set(['expand', 'gather', 'layerNorm', 'reshape', 'transpose'])
/** A product whose inner axis is at most so long costs no more than a few passes over its result. */
const shortProduct = 64
/** Smaller values are kept: so many are needed to matter. */
const smallest = 2 ** 14

const isCheap = ({ op, inputs: [a], attributes }: Tensor): boolean => {
  if (op.name === 'matmul') return a!.shape.at(attributes.transposeA ? -2 : -1)! <= shortProduct
  return cheap.has(op.name) || op.reorder !== undefined
}

/**
 * Computes what the backward pass wants of the forward pass a second time where that is cheap and leaves less to keep:
 * normalised and activated images, images at the points of a bilinear algorithm, the weights of attention. What is kept
 * then is little more than each convolution's result.
 */
export function recompute(forward: readonly Tensor[], backward: readonly Tensor[]): Tensor[] {
  const early = new Set(topological(forward))
  const all = topological([...forward, ...backward])
  const wanted = new Set(
    all.flatMap(t => (early.has(t) ? [] : t.inputs.filter(x => early.has(x) && x.inputs.length > 0))),
  )
  const kept = new Set([...wanted].filter(t => sizeOf(t.shape) < smallest || !isCheap(t)))
  const sources = new Map<Tensor, ReadonlySet<Tensor>>()
  const again = new Set<Tensor>()
  for (const node of early) {
    if (node.inputs.length === 0) continue
    const from = new Set(node.inputs.flatMap(t => [...(sources.get(t) ?? (t.inputs.length > 0 ? [t] : []))]))
    if (wanted.has(node) && !kept.has(node)) {
      const added = [...from].filter(t => !kept.has(t))
      if (added.reduce((sum, t) => sum + sizeOf(t.shape), 0) < sizeOf(node.shape)) {
        again.add(node)
        for (const t of added) kept.add(t)
      } else kept.add(node)
    }
    if (isCheap(node) && !kept.has(node)) sources.set(node, from)
  }

  const late = new Map<Tensor, Tensor>()
  const lateOf = (t: Tensor): Tensor => {
    if (!late.has(t))
      late.set(
        t,
        t.inputs.length === 0
          ? t
          : kept.has(t) || !sources.has(t)
            ? after(t, t)
            : { ...t, inputs: t.inputs.map(lateOf) },
      )
    return late.get(t)!
  }
  const done = new Map<Tensor, Tensor>()
  for (const node of all) {
    if (early.has(node)) continue
    const inputs = node.inputs.map(t => (again.has(t) ? lateOf(t) : (done.get(t) ?? t)))
    done.set(node, inputs.every((t, i) => t === node.inputs[i]) ? node : { ...node, inputs })
  }
  return backward.map(t => done.get(t) ?? t)
}
