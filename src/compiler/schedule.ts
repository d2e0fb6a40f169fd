import type { NodeAttribute } from '../tensor/emitter.js'
import type { Tensor } from '../tensor/tensor.js'
import { topological } from '../tensor/walk.js'

/** A node of the model on its way to the file. */
export interface EmittedNode {
  readonly type: string
  readonly inputs: readonly string[]
  readonly output: string
  /** Which of the node's results the output is; those before it go unused. */
  readonly result: number
  readonly attributes: Readonly<Record<string, NodeAttribute>>
  readonly domain: string
  /** Which of the program's operations it belongs to, in the order in which they are to run. */
  readonly step: number
}

/**
 * The operations of a training program in the order that needs least memory: each gradient of a parameter as soon as it
 * can be had, the last layers' first, and what is computed again (it begins with `after`) when all else that its user
 * needs is there.
 */
export function trainingOrder(outputs: readonly Tensor[]): Tensor[] {
  const [first, ...gradients] = outputs
  const late = recomputed(outputs)
  // What a product needs that is computed from weights and constants is made right before it.
  const weights = madeWithout(new Set(['input']), outputs)
  const order: Tensor[] = []
  const seen = new Set<Tensor>()
  const stack: { node: Tensor; children: readonly Tensor[]; next: number }[] = []
  const enter = (node: Tensor) => {
    if (seen.has(node)) return
    seen.add(node)
    const rank = (t: Tensor) => (late.has(t) ? 2 : weights.has(t) ? 1 : 0)
    const children = node.inputs.toSorted((a, b) => rank(a) - rank(b))
    stack.push({ node, children, next: 0 })
  }
  for (const root of [first!, ...gradients.reverse()]) {
    enter(root)
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const child = top.children[top.next++]
      if (child !== undefined) enter(child)
      else order.push(stack.pop()!.node)
    }
  }
  return order
}

/** The tensors that no operation of these names has a part in. */
export function madeWithout(names: ReadonlySet<string>, outputs: readonly Tensor[]): ReadonlySet<Tensor> {
  const found = new Set<Tensor>()
  for (const t of topological(outputs)) if (!names.has(t.op.name) && t.inputs.every(x => found.has(x))) found.add(t)
  return found
}

/** The tensors that are computed from nothing but recomputed ones. */
function recomputed(outputs: readonly Tensor[]): ReadonlySet<Tensor> {
  const late = new Set<Tensor>()
  for (const t of topological(outputs)) {
    const inputs = t.inputs.filter(x => x.inputs.length > 0)
    if (t.op.name === 'after' || (inputs.length > 0 && inputs.every(x => late.has(x)))) late.add(t)
  }
  return late
}

/**
 * Nodes in the order of the file with which onnxruntime, its optimiser off, runs them by their steps. It does not run
 * them as they stand in the file, but in the order of a walk from the results back to what they need, which takes of
 * several the one that stands last in the file first (graph_viewer.cc, Graph::ReverseDFSFrom): so they stand in reverse.
 * A step's inner nodes come with the values that they are made of, not with the step's result.
 */
export function fileOrder<Node extends Pick<EmittedNode, 'inputs' | 'output' | 'step'>>(
  nodes: readonly Node[],
): Node[] {
  const lastOfStep = new Map(nodes.map((node, i) => [node.step, i]))
  const places = new Map<string, number>()
  const placed = nodes.map((node, i) => {
    const known = node.inputs.flatMap(name => places.get(name) ?? [])
    const place = lastOfStep.get(node.step) === i || known.length === 0 ? node.step : Math.max(...known)
    places.set(node.output, place)
    return { node, place, i }
  })
  return placed.sort((a, b) => b.place - a.place || b.i - a.i).map(({ node }) => node)
}
