import { type Shape, sameShape, show } from './shape.js'
import { apply, type Dtype, type Initialiser, input, parameter, type Spec, type Tensor } from './tensor.js'

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

  const inputs = Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [name, apply(input, [], { name, ...spec })]),
  ) as { [Name in keyof Inputs]: Tensor }
  const result = build(scope(''), inputs)
  const outputs = isTensor(result) ? { output: result } : result
  return { inputs, parameters: [...parameters.values()], outputs, marks }
}

const isTensor = (x: Tensor | Record<string, Tensor>): x is Tensor => typeof (x as Tensor).op?.name === 'string'
