import type { Emitter } from './emitter.js'
import { apply, input, type Tensor } from './tensor.js'
import { topological } from './walk.js'

/** Emits an operation by way of an expression in the language that means the same; `build` gets the node's inputs. */
export function emitExpression(
  to: Emitter,
  inputs: readonly string[],
  node: { readonly inputs: readonly Tensor[] },
  build: (...inputs: Tensor[]) => Tensor,
): string {
  const leaves = node.inputs.map(({ shape, dtype }, i) => apply(input, [], { name: inputs[i]!, shape, dtype }))
  const result = build(...leaves)
  const names = new Map<Tensor, string>()
  for (const part of topological([result])) {
    if (part.op.emit === undefined) throw new TypeError(`the operation "${part.op.name}" has no ONNX form of its own`)
    names.set(
      part,
      part.op.emit(
        to,
        part.inputs.map(t => names.get(t)!),
        part,
      ),
    )
  }
  return names.get(result)!
}
