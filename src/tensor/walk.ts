import type { Tensor } from './tensor.js'

/** Every tensor that the given ones depend on, each once, inputs before what uses them. Iterative: programs are deep. */
export function topological(roots: readonly Tensor[]): Tensor[] {
  const order: Tensor[] = []
  const seen = new Set<Tensor>()
  const stack: { node: Tensor; next: number }[] = []
  for (const root of roots) {
    if (seen.has(root)) continue
    seen.add(root)
    stack.push({ node: root, next: 0 })
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!
      const child = top.node.inputs[top.next++]
      if (child === undefined) {
        order.push(top.node)
        stack.pop()
      } else if (!seen.has(child)) {
        seen.add(child)
        stack.push({ node: child, next: 0 })
      }
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
    const inputs = node.inputs.map(t => done.get(t)!)
    const same = inputs.every((t, i) => t === node.inputs[i])
    const renewed = same ? node : { ...node, inputs }
    done.set(node, visit(renewed, node) ?? renewed)
  }
  return roots.map(t => done.get(t)!)
}
