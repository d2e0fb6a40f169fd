import { type Shape, sameShape, show } from './shape.js'
import { apply, type Dtype, type Initialiser, input, parameter, type Spec, type Tensor } from './tensor.js'
import { rewrite, topological } from './walk.js'

/** A trained tensor of a program. */
export interface Parameter {
  readonly name: string
  readonly shape: Shape
  readonly dtype: Dtype
  readonly init: Initialiser
  readonly tensor: Tensor
}

/** What tracing a function gives: a graph from named inputs and parameters to named outputs. */
export interface Program {
  readonly inputs: Readonly<Record<string, Tensor>>
  /** In order of first use. */
  readonly parameters: readonly Parameter[]
  readonly outputs: Readonly<Record<string, Tensor>>
  /** Tensors that the function marked on its way, by scope path: probes for tests and for seeing inside. */
  readonly marks: Readonly<Record<string, Tensor>>
}

/** A place in the tree of parameters; its path is the checkpoint's key. */
export interface Scope {
  /** The place below this one. */
  (path: string): Scope
  readonly path: string
  /** The parameter of this name here; asked for twice, it is the same one. */
  parameter(name: string, shape: Shape, init: Initialiser): Tensor
  /** Remembers a tensor under this path and hands it back. */
  mark(tensor: Tensor): Tensor
}

const join = (path: string, name: string): string => (path === '' ? name : name === '' ? path : `${path}.${name}`)

/**
 * Records a function of symbolic tensors as a program; calling it finds its inputs and parameters.
 *
 * @example
 * const double = trace({ x: f32(2, 3) }, (_, { x }) => mul(x, 2))
 */
export function trace<Inputs extends Record<string, Spec>>(
  specs: Inputs,
  build: (at: Scope, inputs: { [Name in keyof Inputs]: Tensor }) => Tensor | Record<string, Tensor>,
): Program {
  const parameters = new Map<string, Parameter>()
  const marks: Record<string, Tensor> = {}
  const inputs = Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [name, apply(input, [], { name, ...spec })]),
  ) as { [Name in keyof Inputs]: Tensor }
  const result = build(scopeOver(parameters, marks), inputs)
  const outputs = isTensor(result) ? { output: result } : result
  return { inputs, parameters: [...parameters.values()], outputs, marks }
}

/** The root of a tree of parameters, which it finds and remembers in the given tables. */
function scopeOver(parameters: Map<string, Parameter>, marks: Record<string, Tensor>): Scope {
  const scope = (path: string): Scope => {
    const at = (below: string) => scope(join(path, below))
    return Object.assign(at, {
      path,
      parameter(name: string, shape: Shape, init: Initialiser): Tensor {
        const full = join(path, name)
        const known = parameters.get(full)
        if (known && !sameShape(known.shape, shape)) {
          throw new RangeError(
            `parameter "${full}" is used as ${show(known.shape)} and as ${show(shape)}: give one of them another name`,
          )
        }
        if (known) return known.tensor
        const tensor = apply(parameter, [], { name: full, shape, dtype: 'f32', init })
        parameters.set(full, { name: full, shape, dtype: 'f32', init, tensor })
        return tensor
      },
      mark(tensor: Tensor): Tensor {
        marks[path] = tensor
        return tensor
      },
    })
  }
  return scope('')
}

/**
 * The program with expressions in place of some of its parameters, which may use them and have parameters of their own:
 * how any network takes an adapter without knowing of it. `replace` gets the root of the tree; undefined keeps a parameter.
 *
 * @throws RangeError where an expression differs from its parameter in dtype or shape, but for the first size: tables grow.
 * @example
 * const halved = reparameterise(program, (_, { tensor }) => mul(tensor, 0.5))
 */
export function reparameterise(
  program: Program,
  replace: (at: Scope, parameter: Parameter) => Tensor | undefined,
): Program {
  const parameters = new Map(program.parameters.map(p => [p.name, p]))
  const at = scopeOver(parameters, {})
  const replaced = new Map<Tensor, Tensor>()
  for (const p of program.parameters) {
    const expression = replace(at, p)
    if (expression === undefined) continue
    if (!sameShape(expression.shape.slice(1), p.shape.slice(1)) || expression.dtype !== p.dtype) {
      throw new RangeError(
        `parameter "${p.name}" is ${p.dtype} ${show(p.shape)}, what is to replace it ${expression.dtype} ${show(expression.shape)}`,
      )
    }
    replaced.set(p.tensor, expression)
  }
  const names = Object.keys(program.outputs)
  const marked = Object.keys(program.marks)
  const tensors = rewrite(
    [...names.map(name => program.outputs[name]!), ...marked.map(name => program.marks[name]!)],
    (node, original) => replaced.get(original) ?? node,
  )
  return {
    inputs: program.inputs,
    parameters: [...parameters.values()],
    outputs: Object.fromEntries(names.map((name, i) => [name, tensors[i]!])),
    marks: Object.fromEntries(marked.map((name, i) => [name, tensors[names.length + i]!])),
  }
}

/** The program without the parameters that nothing of its results is made from. */
export function withoutUnused(program: Program): Program {
  const used = new Set(topological(Object.values(program.outputs)))
  return { ...program, parameters: program.parameters.filter(({ tensor }) => used.has(tensor)), marks: {} }
}

const isTensor = (x: Tensor | Record<string, Tensor>): x is Tensor => typeof (x as Tensor).op?.name === 'string'
