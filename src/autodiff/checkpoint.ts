import { constant } from '../tensor/constant.js'
import { evaluate } from '../tensor/evaluate.js'
import { apply, input, type Operation, type Tensor } from '../tensor/tensor.js'
import { rewrite, topological } from '../tensor/walk.js'
import { pullback } from './grad.js'

interface Region extends Readonly<Record<string, unknown>> {
  /** The region's result, as traced. */
  readonly body: Tensor
  /** The tensors of the body for which the node's inputs stand, one by one. */
  readonly boundary: readonly Tensor[]
}

/** A region whose inner tensors are computed again in the backward pass instead of being kept (Chen et al. 2016). */
const checkpointOperation: Operation<Region> = {
  name: 'checkpoint',
  infer: (_, { body }) => ({ shape: body.shape, dtype: body.dtype }),
  evaluate: (inputs, region) => {
    const values = inputs.map((value, i) => constant(value.data, value.shape, region.boundary[i]!.dtype))
    return evaluate([inline(region, values)])[0]!.data
  },
  gradient: (g, { inputs, attributes }) => {
    const late = inputs.map(t => after(t, g))
    return pullback(inline(attributes, late), g, late)
  },
}

/** The value of x, not to be computed with before `signal` is there: it keeps recomputation out of the forward pass. */
const afterOperation: Operation = {
  name: 'after',
  infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
  evaluate: ([x]) => x!.data,
  gradient: g => [g, undefined],
  emit: (_, [x]) => x!,
}

/** Marks x as what something is computed from a second time, once `signal` is there. */
export const after = (x: Tensor, signal: Tensor): Tensor => apply(afterOperation, [x, signal], {})

/** The region's result with other tensors at its boundary. */
function inline({ body, boundary }: Region, inputs: readonly Tensor[]): Tensor {
  const replaced = new Map(boundary.map((t, i) => [t, inputs[i]!]))
  return rewrite([body], (node, original) => replaced.get(original) ?? node)[0]!
}

/** The program without regions: each one's own tensors in its place. */
export const inlineCheckpoints = (roots: readonly Tensor[]): Tensor[] =>
  rewrite(roots, node => (node.op.name === 'checkpoint' ? inline(node.attributes as Region, node.inputs) : undefined))

/**
 * Wraps a function of tensors so that training keeps only its inputs and recomputes the rest in the backward pass: less
 * memory for one more forward pass of the region.
 *
 * @example
 * const block = checkpoint((x: Tensor) => residualBlock(at, x, emb, options))
 */
export function checkpoint<Inputs extends readonly Tensor[]>(
  fn: (...inputs: Inputs) => Tensor,
): (...inputs: Inputs) => Tensor {
  return (...inputs) => {
    // Stand-ins, so that what the inputs were computed from is no part of the region.
    const given = inputs.map(({ shape, dtype }, i) =>
      apply(input, [], { name: `input ${i} of a region`, shape, dtype }),
    )
    const body = fn(...(given as unknown as Inputs))
    const captured = topological([body]).filter(
      t => t.inputs.length === 0 && t.op.name !== 'constant' && !given.includes(t),
    )
    return region(body, [...given, ...captured], [...inputs, ...captured])
  }
}

/** A body as one tensor whose inner ones are computed again in the backward pass; `inputs` are what its boundary stands for. */
export const region = (body: Tensor, boundary: readonly Tensor[], inputs: readonly Tensor[]): Tensor =>
  apply(checkpointOperation, inputs, { body, boundary })
