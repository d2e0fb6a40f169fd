import type { Program } from '../tensor/program.js'
import { grad } from './grad.js'

/** The name of the output that holds a parameter's gradient. */
export const gradientName = (parameter: string): string => `gradient:${parameter}`

/**
 * The program with the gradients of its scalar output `loss` beside its outputs, as `gradient:<parameter>`: of the named
 * parameters, or of all.
 *
 * @throws RangeError where there is no output `loss`, it is no scalar, or a name is no parameter's.
 * @example
 * const step = gradients(trace({ x: f32(8, 2) }, (at, { x }) => ({ loss: mean(square(linear(at, x, 1))) })))
 */
export function gradients(program: Program, names?: readonly string[]): Program {
  const { loss } = program.outputs
  if (loss === undefined) {
    throw new RangeError(
      `gradients: wanted an output named "loss", the program has ${list(Object.keys(program.outputs))}`,
    )
  }
  const all = new Map(program.parameters.map(p => [p.name, p]))
  const wanted = names ?? [...all.keys()]
  const tensors = wanted.map(name => {
    const found = all.get(name)
    if (found === undefined) throw new RangeError(`gradients: the program has no parameter "${name}"`)
    return found.tensor
  })
  const results = grad(loss, tensors)
  const outputs = Object.fromEntries(wanted.map((name, i) => [gradientName(name), results[i]!]))
  return { ...program, outputs: { ...program.outputs, ...outputs } }
}

const list = (names: readonly string[]): string => names.map(name => `"${name}"`).join(', ') || 'none'
