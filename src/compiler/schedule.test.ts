import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node'
import { gradients } from '../autodiff/gradients.js'
import { zeros } from '../nn/initialisers.js'
import { add } from '../tensor/binary.js'
import { matmul } from '../tensor/matmul.js'
import { softmax } from '../tensor/normalize.js'
import { trace } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import { sizeOf } from '../tensor/shape.js'
import { f32 } from '../tensor/tensor.js'
import { square } from '../tensor/unary.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { emitProgram } from './emit.js'
import { lower } from './lower.js'
import { trainingOrder } from './schedule.js'

const layers = ['a', 'b', 'c', 'd']
/** Products large enough that the weights of softmax are computed again. */
const network = gradients(
  trace({ x: f32(256, 64) }, (at, { x }) => {
    let h = x
    for (const name of layers) h = add(h, softmax(matmul(h, at.parameter(name, [64, 64], zeros))))
    return { loss: mean(square(h)) }
  }),
)
const lowered = lower(network, { device: 'cpu', training: true, contrib: true })

test('each gradient is computed as soon as the pass back reaches its layer', () => {
  const order = trainingOrder(Object.values(lowered.outputs))
  const places = layers.map(name => order.indexOf(lowered.outputs[`gradient:${name}`]!))
  assert.deepEqual(
    places,
    [...places].sort((a, b) => b - a),
  )
  assert.ok(places[3]! < 0.75 * places[0]!, 'the last layer has its gradient long before the first')
})

test('what is computed a second time runs when all else that its user needs is there', () => {
  const order = trainingOrder(Object.values(lowered.outputs))
  const recomputed = order.filter(({ op }) => op.name === 'after')
  assert.ok(recomputed.length > 0)
  for (const t of recomputed) assert.ok(order.indexOf(t) > order.indexOf(lowered.outputs.loss!))
})

test('what is made of weights alone is made right before its use', () => {
  const { outputs } = trace({ x: f32(4, 4) }, (at, { x }) =>
    layers.reduce((h, name) => matmul(square(at.parameter(name, [4, 4], zeros)), h), x),
  )
  const order = trainingOrder(Object.values(outputs))
  const products = order.filter(({ op }) => op.name === 'matmul')
  for (const product of products) assert.equal(order.indexOf(product.inputs[0]!), order.indexOf(product) - 1)
})

test('onnxruntime runs the nodes in that order', async t => {
  const folder = await temporaryFolder(t)
  const session = await InferenceSession.create(emitProgram(lowered, { settled: true }).bytes, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    enableProfiling: true,
    profileFilePrefix: join(folder, 'run'),
    logSeverityLevel: 3,
  })
  const feeds = [...Object.entries(network.inputs), ...network.parameters.map(p => [p.name, p] as const)].map(
    ([name, { shape }]) => [name, new RuntimeTensor('float32', new Float32Array(sizeOf(shape)), [...shape])] as const,
  )
  await session.run(Object.fromEntries(feeds))
  session.endProfiling()
  await session.release()
  const [file] = await readdir(folder)
  const events = JSON.parse(await readFile(join(folder, file!), 'utf8')) as { name: string }[]
  const ran = events.flatMap(({ name }) => /^(?!gradient)[^:]*_(\d+)_kernel_time$/.exec(name)?.[1] ?? []).map(Number)
  assert.ok(ran.length > 40)
  // Nodes are numbered as they are emitted, operation by operation.
  assert.deepEqual(
    ran,
    [...ran].sort((a, b) => a - b),
  )
})

const linux = process.platform === 'linux' ? false : 'the peak of memory is read from /proc, which Linux has'

test('checkpointed blocks peak lower and give the same gradients', { skip: linux }, async () => {
  const measure = async (mode: string) => {
    const script = fileURLToPath(new URL('../testing/peak.js', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [script, mode])
    return JSON.parse(stdout) as { peak: number; sums: number[] }
  }
  const [plain, checkpointed] = [await measure('plain'), await measure('checkpointed')]
  assert.ok(checkpointed.peak < 0.6 * plain.peak, `${checkpointed.peak} MB instead of ${plain.peak} MB`)
  for (const [i, sum] of plain.sums.entries()) assert.ok(Math.abs(checkpointed.sums[i]! - sum) <= 1e-4 * Math.abs(sum))
})
