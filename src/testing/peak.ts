// Prints what one training step of a chain of wide layers adds to a fresh process's peak of memory, and the sums of its
// gradients: `node peak.js plain|checkpointed`.
import { readFileSync } from 'node:fs'
import { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node'
import { checkpoint } from '../autodiff/checkpoint.js'
import { gradients } from '../autodiff/gradients.js'
import { emitProgram } from '../compiler/emit.js'
import { lower } from '../compiler/lower.js'
import { zeros } from '../nn/initialisers.js'
import { add } from '../tensor/binary.js'
import { matmul } from '../tensor/matmul.js'
import { trace } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import { sizeOf } from '../tensor/shape.js'
import { f32, type Tensor } from '../tensor/tensor.js'
import { square, tanh } from '../tensor/unary.js'
import { drawnParameters } from './parameters.js'

const peak = (): number => Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024

const program = gradients(
  trace({ x: f32(2048, 128) }, (at, { x }) => {
    const block = (name: string) => (h: Tensor) => {
      let y = h
      for (let i = 0; i < 4; i++) y = tanh(matmul(y, at(name).parameter(`${i}`, [y.shape[1]!, 1024], zeros)))
      return add(h, matmul(y, at(name).parameter('out', [1024, 128], zeros)))
    }
    let h = x
    for (let i = 0; i < 6; i++) h = (process.argv[2] === 'checkpointed' ? checkpoint(block(`${i}`)) : block(`${i}`))(h)
    return { loss: mean(square(h)) }
  }),
)
const lowered = lower(program, { device: 'cpu', training: true, contrib: true })
const session = await InferenceSession.create(emitProgram(lowered, { settled: true }).bytes, {
  graphOptimizationLevel: 'disabled',
  intraOpNumThreads: 1,
  enableMemPattern: false,
  logSeverityLevel: 3,
})
const feeds: Record<string, RuntimeTensor> = {
  x: new RuntimeTensor('float32', new Float32Array(2048 * 128).fill(0.1), [2048, 128]),
}
for (const [name, { shape, data }] of Object.entries(drawnParameters(program))) {
  feeds[name] = new RuntimeTensor('float32', Float32Array.from(data), [...shape])
}
const fetches = Object.fromEntries(
  program.parameters.map(({ name, shape }) => [
    `gradient:${name}`,
    new RuntimeTensor('float32', new Float32Array(sizeOf(shape)).fill(1), [...shape]),
  ]),
)
const before = peak()
const results = await session.run(feeds, { loss: null, ...fetches })
const sums = Object.values(results).map(({ data }) => (data as Float32Array).reduce((a, b) => a + Math.abs(b), 0))
process.stdout.write(JSON.stringify({ peak: Math.round(peak() - before), sums }))
