import type { Program } from '../tensor/program.js'
import { apply, input, type Tensor } from '../tensor/tensor.js'
import { topological } from '../tensor/walk.js'
import { inlineCheckpoints, region } from './checkpoint.js'

/**
 * The program with what lies between its marks as regions that are computed again in the backward pass: training keeps the
 * marked tensors alone, for one more forward pass. Networks mark their blocks.
 */
export function checkpointMarks(program: Program): Program {
  const names = Object.keys(program.outputs)
  const tensors = inlineCheckpoints([...Object.values(program.outputs), ...Object.values(program.marks)])
  const outputs = tensors.slice(0, names.length)
  const order = topological(outputs)
  const regions = regionsOf(order, outputs, new Set(tensors.slice(names.length)))
  const members = new Map<Tensor, Tensor[]>()
  for (const node of order) {
    const end = regions.get(node)
    if (end) members.set(end, [...(members.get(end) ?? []), node])
  }
  const now = new Map<Tensor, Tensor>()
  for (const node of order) {
    const end = regions.get(node)
    const inside = end ? members.get(end)! : []
    if (isGiven(node)) now.set(node, node)
    else if (inside.length < 2) now.set(node, { ...node, inputs: node.inputs.map(t => now.get(t)!) })
    else if (node === end) now.set(node, asRegion(inside, now))
  }
  return { ...program, outputs: Object.fromEntries(names.map((name, i) => [name, now.get(outputs[i]!)!])) }
}

const isGiven = (t: Tensor) => t.inputs.length === 0

/**
 * The end of the region that each tensor belongs to: the mark that it is computed for alone. What several regions use is
 * kept, an end itself; what comes after the last mark belongs to none.
 */
function regionsOf(
  order: readonly Tensor[],
  outputs: readonly Tensor[],
  marks: ReadonlySet<Tensor>,
): Map<Tensor, Tensor | undefined> {
  const users = new Map<Tensor, Set<Tensor | undefined>>(order.map(t => [t, new Set()]))
  for (const output of outputs) users.get(output)!.add(undefined)
  const regions = new Map<Tensor, Tensor | undefined>()
  for (const node of order.toReversed()) {
    if (isGiven(node)) continue
    const [user, ...others] = users.get(node)!
    const end = marks.has(node) || others.length > 0 ? node : user
    regions.set(node, end)
    for (const t of node.inputs) users.get(t)!.add(end)
  }
  return regions
}

/** The nodes of a region, of which the last is its result, as one, over what it takes from outside. */
function asRegion(inside: readonly Tensor[], outside: ReadonlyMap<Tensor, Tensor>): Tensor {
  const stands = new Map<Tensor, Tensor>()
  const given: Tensor[] = []
  const within = new Map<Tensor, Tensor>()
  const at = (t: Tensor): Tensor => {
    if (within.has(t)) return within.get(t)!
    if (t.op.name === 'constant') return t
    if (!stands.has(t)) {
      const { shape, dtype } = t
      stands.set(t, apply(input, [], { name: `input ${given.length} of a region`, shape, dtype }))
      given.push(outside.get(t)!)
    }
    return stands.get(t)!
  }
  for (const node of inside) within.set(node, { ...node, inputs: node.inputs.map(at) })
  return region(within.get(inside.at(-1)!)!, [...stands.values()], given)
}
