import assert from 'node:assert/strict'
import test from 'node:test'
import type { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-common'
import node from 'onnxruntime-node'
import * as web from 'onnxruntime-web'
import protobuf from 'protobufjs'
import {
  add,
  attention,
  conv2d,
  evaluate,
  f32,
  gather,
  gelu,
  groupNorm,
  i64,
  layerNorm,
  maxPool2d,
  mul,
  type Program,
  reshape,
  resizeNearest,
  silu,
  trace,
  transpose,
} from '../tensor/index.js'
import { fromFloat32, type TensorData, toFloat32 } from '../weights/dtypes.js'
import { exportOnnx } from './index.js'

const zeros = { kind: 'constant', value: 0 } as const
/** A little of everything that a diffusion model is made of. */
const network = trace({ x: f32(2, 4, 8, 8), ids: i64(2, 3) }, (at, { x, ids }) => {
  const table = at.parameter('embedding', [5, 8], zeros)
  const context = reshape(layerNorm(gather(table, ids)), [2, 1, 3, 8])
  const norm = groupNorm(x, 2, at.parameter('norm.weight', [4], zeros), at.parameter('norm.bias', [4], zeros), {
    epsilon: 1e-5,
  })
  const hidden = conv2d(
    silu(norm),
    at.parameter('conv.weight', [8, 4, 3, 3], zeros),
    at.parameter('conv.bias', [8], zeros),
    { padding: 1 },
  )
  const pooled = maxPool2d(hidden, { kernel: 2, stride: 2 })
  const tokens = transpose(reshape(pooled, [2, 1, 8, 16]), [0, 1, 3, 2])
  const attended = gelu(attention(tokens, context, context))
  const up = resizeNearest(reshape(transpose(attended, [0, 1, 3, 2]), [2, 8, 4, 4]), [8, 8])
  return { output: mul(add(up, hidden), 0.5) }
})

const numbers = (count: number, seed: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * seed))
const weights = new Map<string, TensorData>(
  network.parameters.map(({ name, shape }, i) => [
    name,
    fromFloat32(
      numbers(
        shape.reduce((a, b) => a * b, 1),
        1.1 + i,
      ),
      shape,
      name === 'conv.weight' ? 'F16' : 'F32',
    ),
  ]),
)
const x = numbers(2 * 4 * 64, 0.7)
const ids = [0, 4, 2, 1, 1, 3]

function oracle(program: Program): Float64Array {
  const given = {
    x: { shape: [2, 4, 8, 8], data: Float64Array.from(x) },
    ids: { shape: [2, 3], data: Float64Array.from(ids) },
    ...Object.fromEntries(
      [...weights].map(([name, t]) => [name, { shape: t.shape, data: Float64Array.from(toFloat32(t)) }]),
    ),
  }
  return evaluate([program.outputs.output!], given)[0]!.data
}

interface Runtime {
  readonly InferenceSession: typeof InferenceSession
  readonly Tensor: typeof RuntimeTensor
}

async function assertRuns(
  { InferenceSession, Tensor }: Runtime,
  bytes: Uint8Array,
  more: Record<string, RuntimeTensor> = {},
) {
  const session = await InferenceSession.create(bytes, { graphOptimizationLevel: 'disabled' })
  const feeds = {
    x: new Tensor('float32', x, [2, 4, 8, 8]),
    ids: new Tensor('int64', ids.map(BigInt), [2, 3]),
    ...more,
  }
  const { output } = await session.run(feeds)
  const expected = oracle(network)
  ;(output!.data as Float32Array).forEach((value, i) => {
    assert.ok(Math.abs(value - expected[i]!) < 1e-4, `${i}: ${value}, wanted ${expected[i]}`)
  })
  await session.release()
}

// The fields that are looked at, with their numbers in onnx.proto3 of the ONNX project.
const description = `
  syntax = "proto3";
  message ModelProto { int64 ir_version = 1; string producer_name = 2; GraphProto graph = 7; repeated OperatorSetIdProto opset_import = 8; }
  message OperatorSetIdProto { string domain = 1; int64 version = 2; }
  message GraphProto {
    repeated NodeProto node = 1; string name = 2; repeated TensorProto initializer = 5;
    repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12;
  }
  message NodeProto {
    repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
    repeated AttributeProto attribute = 5; string domain = 7;
  }
  message AttributeProto { string name = 1; float f = 2; int64 i = 3; bytes s = 4; repeated float floats = 7; repeated int64 ints = 8; int32 type = 20; }
  message TensorProto { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9; int32 data_location = 14; }
  message ValueInfoProto { string name = 1; TypeProto type = 2; }
  message TypeProto { message Tensor { int32 elem_type = 1; TensorShapeProto shape = 2; } Tensor tensor_type = 1; }
  message TensorShapeProto { message Dimension { int64 dim_value = 1; string dim_param = 2; } repeated Dimension dim = 1; }
`
const { root } = protobuf.parse(description, { keepCase: true })

interface Decoded {
  readonly ir_version: string
  readonly opset_import: { readonly domain: string; readonly version: string }[]
  readonly graph: {
    readonly node: {
      readonly name: string
      readonly op_type: string
      readonly domain: string
      readonly input: string[]
      readonly output: string[]
    }[]
    readonly initializer: {
      readonly name: string
      readonly dims: string[]
      readonly data_type: number
      readonly raw_data: Uint8Array
    }[]
    readonly input: {
      readonly name: string
      readonly type: { tensor_type: { elem_type: number; shape: { dim: object[] } } }
    }[]
    readonly output: { readonly name: string }[]
  }
}

function decode(bytes: Uint8Array): Decoded {
  const model = root.lookupType('ModelProto')
  return model.toObject(model.decode(bytes), { longs: String, defaults: true }) as unknown as Decoded
}

test('an exported program runs without optimisation in both runtimes', async () => {
  const bytes = await exportOnnx(network, { weights })
  await assertRuns(node, bytes)
  await assertRuns(web, bytes)
})

test('without weights the parameters are inputs', async () => {
  const bytes = await exportOnnx(network)
  const fed = [...weights].map(([name, t]) => [name, new node.Tensor('float32', toFloat32(t), [...t.shape])])
  await assertRuns(node, bytes, Object.fromEntries(fed))
})

test('an independent reader finds standard operators, whole and in order', async () => {
  const { ir_version, opset_import, graph } = decode(await exportOnnx(network, { weights }))
  assert.equal(ir_version, '10')
  assert.deepEqual(opset_import, [{ domain: '', version: '21' }])
  assert.deepEqual(
    graph.input.map(({ name }) => name),
    ['x', 'ids'],
  )
  assert.deepEqual(
    graph.output.map(({ name }) => name),
    ['output'],
  )
  assert.deepEqual(graph.input[1]!.type.tensor_type.shape.dim, [
    { dim_value: '2', dim_param: '' },
    { dim_value: '3', dim_param: '' },
  ])
  assert.equal(graph.input[1]!.type.tensor_type.elem_type, 7)
  const half = graph.initializer.find(({ name }) => name === 'conv.weight')!
  assert.deepEqual([half.data_type, half.dims, half.raw_data.length], [10, ['8', '4', '3', '3'], 8 * 4 * 9 * 2])
  const known = new Set(['', ...graph.input.map(({ name }) => name), ...graph.initializer.map(({ name }) => name)])
  for (const { name, domain, op_type, input, output } of graph.node) {
    assert.equal(domain, '', `${op_type} is no standard operator`)
    for (const value of input) assert.ok(known.has(value), `${name} uses ${value} before it is there`)
    for (const value of output) known.add(value)
  }
  assert.ok(known.has('output'))
})

test('with contrib, the domain of every operator is declared', async () => {
  const bytes = await exportOnnx(network, { weights, contrib: true })
  await assertRuns(node, bytes)
  const { opset_import, graph } = decode(bytes)
  const declared = new Set(opset_import.map(({ domain }) => domain))
  for (const { domain } of graph.node) assert.ok(declared.has(domain))
})

test('an open batch keeps its name', async () => {
  const open = trace({ x: f32(-1, 3) }, (_, { x }) => mul(x, 2))
  const { graph } = decode(await exportOnnx(open))
  assert.deepEqual(graph.input[0]!.type.tensor_type.shape.dim, [
    { dim_value: '0', dim_param: 'batch' },
    { dim_value: '3', dim_param: '' },
  ])
})
