import type { Tensor } from './tensor.js'

/** Every tensor that the given ones depend on, each once, inputs before what uses them. Iterative: programs are deep. */
export function topological(roots: readonly Tensor[]): Tensor[] {
  const order: Tensor[] = []
  const seen = new Set<Tensor>()
  // The way down to a node, and which input of each comes next.
  const path: Tensor[] = []
  const next: number[] = []
  const enter = (node: Tensor) => {
    seen.add(node)
    path.push(node)
    next.push(0)
  }
  for (const root of roots) {
    if (!seen.has(root)) enter(root)
    while (path.length > 0) {
      const top = path.length - 1
      const child = path[top]!.inputs[next[top]!++]
      if (child === undefined) {
        order.push(path.pop()!)
        next.pop()
      } else if (!seen.has(child)) enter(child)
    }
  }
  return order
}

/**
 * The same tensors with some nodes replaced. `visit` gets each node with its inputs already rewritten and returns what
 * stands in for it; undefined keeps it.
 */
export function rewrite(
  roots: readonly Tensor[],
  visit: (node: Tensor, original: Tensor) => Tensor | undefined,
): Tensor[] {
  const done = new Map<Tensor, Tensor>()
  for (const node of topological(roots)) {
    const same = node.inputs.every(t => done.get(t) === t)
    const renewed = same ? node : { ...node, inputs: node.inputs.map(t => done.get(t)!) }
    done.set(node, visit(renewed, node) ?? renewed)
  }
  return roots.map(t => done.get(t)!)
}
