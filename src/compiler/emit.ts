import type { Emitter } from '../tensor/emitter.js'
import type { Program } from '../tensor/program.js'
import { type Shape, show } from '../tensor/shape.js'
import type { Dtype, Tensor } from '../tensor/tensor.js'
import { topological } from '../tensor/walk.js'
import { everyRunName } from './lowerings/every-run.js'
import { modelBytes, nodeMessage, type TensorBytes, tensorMessage, typeCode, valueMessage } from './onnx.js'
import { packNumbers } from './pack.js'
import type { Message } from './protobuf.js'
import { type EmittedNode, fileOrder, madeWithout, trainingOrder } from './schedule.js'

/** A program as an ONNX model. */
export interface Emitted {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Names that must be fed: inputs, and the parameters that are not part of the model. */
  readonly feeds: readonly string[]
  readonly outputs: readonly string[]
}

export interface EmitOptions {
  /** The bytes of a parameter that is to be part of the model; without them it is an input of its name. */
  weights?: (name: string) => TensorBytes | undefined
  /** Arranges the nodes for the runtime's way through them, so that what frees memory runs at once. */
  settled?: boolean
  /** Keeps the sizes of what inputs become from the runtime, which then frees each buffer as soon as it can be. */
  unplanned?: boolean
  /** Computes f32 in f64, between f32 inputs and outputs. */
  double?: boolean
}

/** What the runtime cannot compute in f64, and how many inputs of each, from the first, are numbers to compute with. */
const floatOnly = new Map([
  ['AveragePool', 1],
  ['Conv', 3],
  ['ConvTranspose', 3],
  ['Cos', 1],
  ['Erf', 1],
  ['Gelu', 1],
  ['InstanceNormalization', 3],
  ['LeakyRelu', 1],
  ['Resize', 1],
])

/**
 * Writes a program out as ONNX. Every operation must know how to emit itself: lower the program first.
 *
 * @throws TypeError where an operation needs a lowering.
 */
export function emitProgram(
  program: Program,
  { weights, settled = false, unplanned = false, double = false }: EmitOptions = {},
): Emitted {
  const nodes: EmittedNode[] = []
  const initialisers: Message[] = []
  const constants = new Map<string, string>()
  const domains = new Set<string>()
  const names = new Map<Tensor, string>()
  let counter = 0
  let step = 0
  let changes = false
  const flexible = new Map<string, Message>()

  const plain: Emitter['node'] = (type, inputs, attributes = {}, { domain = '', result = 0 } = {}) => {
    const output = `${type}_${counter++}`
    nodes.push({ type, inputs, output, result, attributes, domain, step })
    if (domain !== '') domains.add(domain)
    return output
  }
  const cast = (name: string, to: Dtype | 'f64') => plain('Cast', [name], { to: typeCode[to] })
  const inDouble: Emitter['node'] = (type, inputs, attributes = {}, options = {}) => {
    if (type === 'Cast' && attributes.to === typeCode.f32) return cast(inputs[0]!, 'f64')
    const numbers = floatOnly.get(type)
    if (numbers === undefined) return plain(type, inputs, attributes, options)
    const narrowed = inputs.map((name, i) => (i < numbers && name !== '' ? cast(name, 'f32') : name))
    return cast(plain(type, narrowed, attributes, options), 'f64')
  }
  const node = double ? inDouble : plain
  const stored = (dtype: Dtype) => (double && dtype === 'f32' ? 'f64' : dtype)
  const constant = (dtype: Dtype, shape: Shape, data: ArrayLike<number>): string => {
    const packed = packNumbers(stored(dtype), data)
    const key = packed.length <= 256 ? `${dtype}${shape}:${packed}` : undefined
    const known = key === undefined ? undefined : constants.get(key)
    if (known !== undefined) return known
    const name = `constant_${initialisers.length}`
    initialisers.push(tensorMessage(name, stored(dtype), shape, { kind: 'inline', data: packed }))
    if (key !== undefined) constants.set(key, name)
    return name
  }
  const ints = (values: readonly number[]): string => constant('i64', [values.length], values)
  const openSize = (): string => {
    const [name, tensor] = Object.entries(program.inputs).find(([, t]) => t.shape[0] === -1) ?? []
    if (name === undefined || tensor === undefined) {
      throw new TypeError('emit: the batch is open, but no input has it as its first axis')
    }
    return node('Gather', [node('Shape', [name]), ints([0])])
  }
  const emitter: Emitter = {
    node,
    constant,
    ints,
    reshapeTo(shape) {
      const sizes = shape.map(size => (size < 0 ? -1 : size))
      if (!settled && !(unplanned && changes)) return ints(sizes)
      // As an input with a default value: sizes that the runtime does not know when it plans the buffers. Where it does, it
      // holds each buffer back until another tensor of the same shape comes, which takes up to three times as much.
      const name = `sizes_${sizes.join('_')}`
      if (!flexible.has(name)) {
        initialisers.push(
          tensorMessage(name, 'i64', [sizes.length], { kind: 'inline', data: packNumbers('i64', sizes) }),
        )
        flexible.set(name, valueMessage(name, 'i64', [sizes.length]))
      }
      return name
    },
    shapeOf(shape) {
      const at = shape.findIndex(size => size < 0)
      if (at < 0) return ints(shape)
      const size = shape[at] === -1 ? openSize() : node('Mul', [openSize(), ints([-shape[at]!])])
      const parts = [shape.slice(0, at), shape.slice(at + 1)].map(part => (part.length > 0 ? [ints(part)] : []))
      return node('Concat', [...parts[0]!, size, ...parts[1]!], { axis: 0 })
    },
  }

  const results = Object.values(program.outputs)
  const feeds = Object.keys(program.inputs)
  const inputs = Object.entries(program.inputs).map(([name, t]) => valueMessage(name, t.dtype, t.shape))
  for (const { name, dtype, shape } of program.parameters) {
    const data = weights?.(name)
    if (data !== undefined) {
      initialisers.push(tensorMessage(name, dtype, shape, data))
    } else {
      feeds.push(name)
      inputs.push(valueMessage(name, dtype, shape))
    }
  }
  const unchanging = madeWithout(new Set(['input', everyRunName]), results)
  for (const tensor of settled ? trainingOrder(results) : topological(results)) {
    const { op } = tensor
    step++
    changes = !unchanging.has(tensor)
    if (op.emit === undefined) {
      throw new TypeError(
        `emit: "${op.name}" of ${show(tensor.shape)} has no ONNX form of its own: lower the program first`,
      )
    }
    const given = tensor.inputs.map(t => names.get(t)!)
    const name = op.emit(emitter, given, tensor)
    const isFed = op.name === 'input' || op.name === 'parameter'
    names.set(tensor, isFed && stored(tensor.dtype) === 'f64' ? cast(name, 'f64') : name)
  }
  const produced = new Set(nodes.map(({ output }) => output))
  const renamed = new Map<string, string>()
  const outputs = Object.entries(program.outputs).map(([name, tensor]) => {
    const result = names.get(tensor)!
    const last = stored(tensor.dtype) === 'f64' ? cast(result, 'f32') : result
    if (produced.has(last) && !renamed.has(last)) renamed.set(last, name)
    else nodes.push({ type: 'Identity', inputs: [last], output: name, result: 0, attributes: {}, domain: '', step })
    return valueMessage(name, tensor.dtype, tensor.shape)
  })
  const nameOf = (name: string): string => renamed.get(name) ?? name
  const messages = (settled ? fileOrder(nodes) : nodes).map(({ type, inputs, output, result, attributes, domain }) => {
    const unused = Array.from({ length: result }, (_, i) => `${output}_unused${i}`)
    return nodeMessage(nameOf(output), type, inputs.map(nameOf), [...unused, nameOf(output)], attributes, domain)
  })
  inputs.push(...flexible.values())
  const bytes = modelBytes({ nodes: messages, initialisers, inputs, outputs, domains: [...domains] })
  return { bytes, feeds, outputs: Object.keys(program.outputs) }
}
