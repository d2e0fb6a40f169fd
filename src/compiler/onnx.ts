import type { NodeAttribute } from '../tensor/emitter.js'
import type { Shape } from '../tensor/shape.js'
import type { Dtype } from '../tensor/tensor.js'
import { bytes, float, integer, integers, type Message, nested, serialise, string } from './protobuf.js'

// Field numbers and type codes: onnx/onnx.proto3, IR version 10.
export const typeCode: Record<Dtype | 'f64', number> = {
  f32: 1,
  f64: 11,
  f16: 10,
  i64: 7,
  bool: 9,
  i8: 3,
  i4: 22,
  u4: 21,
}
const irVersion = 10
/** The operator set that emission is written against. */
export const opset = 21

/** Where an initialiser's bytes lie: in the model itself, or in a file at an offset. */
export type TensorBytes =
  | { readonly kind: 'inline'; readonly data: Uint8Array }
  | { readonly kind: 'external'; readonly file: string; readonly offset: number; readonly length: number }

/** An ONNX node. */
export const nodeMessage = (
  name: string,
  type: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, NodeAttribute>>,
  domain: string,
): Message => [
  ...inputs.flatMap(input => string(1, input)),
  ...outputs.flatMap(output => string(2, output)),
  ...string(3, name),
  ...string(4, type),
  ...Object.entries(attributes).flatMap(([key, value]) => nested(5, attributeMessage(key, value))),
  ...(domain === '' ? [] : string(7, domain)),
]

function attributeMessage(name: string, value: NodeAttribute): Message {
  const named = string(1, name)
  if (typeof value === 'number') return [...named, integer(3, value), integer(20, 2)]
  if (typeof value === 'string') return [...named, ...string(4, value), integer(20, 3)]
  if ('float' in value) return [...named, float(2, value.float), integer(20, 1)]
  return [...named, ...value.map(v => integer(8, v)), integer(20, 7)]
}

/** A named constant tensor. */
export function tensorMessage(name: string, dtype: Dtype | 'f64', shape: Shape, data: TensorBytes): Message {
  const entry = (key: string, value: string) => nested(13, [...string(1, key), ...string(2, value)])
  return [
    ...integers(1, shape),
    integer(2, typeCode[dtype]),
    ...string(8, name),
    ...(data.kind === 'inline'
      ? bytes(9, data.data)
      : [
          ...entry('location', data.file),
          ...entry('offset', String(data.offset)),
          ...entry('length', String(data.length)),
          integer(14, 1),
        ]),
  ]
}

/** Name, dtype and shape of an input or output; open sizes become named dimensions. */
export function valueMessage(name: string, dtype: Dtype, shape: Shape): Message {
  const dimension = (size: number) =>
    nested(1, size >= 0 ? [integer(1, size)] : string(2, size === -1 ? 'batch' : `${-size}*batch`))
  const tensorType = [integer(1, typeCode[dtype]), ...nested(2, shape.flatMap(dimension))]
  return [...string(1, name), ...nested(2, nested(1, tensorType))]
}

/** A whole model file. */
export function modelBytes(graph: {
  nodes: readonly Message[]
  initialisers: readonly Message[]
  inputs: readonly Message[]
  outputs: readonly Message[]
  domains: readonly string[]
}): Uint8Array<ArrayBuffer> {
  const message: Message = [
    ...graph.nodes.flatMap(node => nested(1, node)),
    ...string(2, 'latentkit'),
    ...graph.initialisers.flatMap(tensor => nested(5, tensor)),
    ...graph.inputs.flatMap(value => nested(11, value)),
    ...graph.outputs.flatMap(value => nested(12, value)),
  ]
  return serialise([
    integer(1, irVersion),
    ...string(2, 'latentkit'),
    ...nested(7, message),
    ...nested(8, [...string(1, ''), integer(2, opset)]),
    ...graph.domains.flatMap(domain => nested(8, [...string(1, domain), integer(2, 1)])),
  ])
}
