import assert from 'node:assert/strict'
import { test } from 'node:test'
import { conv2d } from '../../nn/conv.js'
import { add } from '../../tensor/binary.js'
import { conv2d as convolve } from '../../tensor/conv.js'
import { averagePool2d } from '../../tensor/pool.js'
import { trace } from '../../tensor/program.js'
import { f32 } from '../../tensor/tensor.js'
import { topological } from '../../tensor/walk.js'
import { lower } from '../lower.js'
import { everyRunName } from '../lowerings/every-run.js'
import type { Target } from '../target.js'

const inference: Target = { device: 'cpu', training: false, contrib: true, largeWeights: true }
const bytes = 27 * 4 * 640 * 640

/** A thin convolution, one of 640 channels at 32x32 and two at 16x16. */
const program = trace({ x: f32(2, 64, 32, 32) }, (at, { x }) => {
  const thin = conv2d(at('thin'), x, { out: 64, kernel: 3 })
  const wide = conv2d(at('widen'), thin, { out: 640, kernel: 1 })
  const large = conv2d(at('large'), wide, { out: 640, kernel: 3 })
  const small = conv2d(at('small'), averagePool2d(large, { kernel: 2, stride: 2 }), { out: 640, kernel: 3 })
  return add(small, conv2d(at('last'), small, { out: 640, kernel: 3 }))
})

/** The convolutions that are left to the runtime, by the side of their images, and how many weights are made in every run. */
function formsOf(target: Target) {
  const nodes = topological(Object.values(lower(program, target).outputs))
  const left = nodes.filter(({ op }) => op.name === 'conv2d').map(({ shape }) => shape[2]!)
  return { left, made: nodes.filter(({ op }) => op.name === everyRunName).length }
}

test('weights are transformed in every run where images are large enough, and kept as far as they may grow', () => {
  const nothingKept = { left: [32, 32, 16, 16], made: 1 }
  assert.deepEqual(formsOf({ ...inference, weightGrowth: 0 }), nothingKept)
  assert.deepEqual(formsOf({ ...inference, weightGrowth: bytes - 1 }), nothingKept)
  assert.deepEqual(formsOf({ ...inference, weightGrowth: bytes }), { left: [32, 32, 16, 16], made: 0 })
  assert.deepEqual(formsOf({ ...inference, weightGrowth: 2 * bytes }), { left: [32, 32, 16], made: 0 })
  assert.deepEqual(formsOf({ ...inference, weightGrowth: 3 * bytes }), { left: [32, 32], made: 0 })
})

test('weights of small networks are kept or left', () => {
  const target = { ...inference, largeWeights: false }
  assert.deepEqual(formsOf({ ...target, weightGrowth: 0 }), { left: [32, 32, 32, 16, 16], made: 0 })
  assert.deepEqual(formsOf({ ...target, weightGrowth: bytes }), { left: [32, 32, 16, 16], made: 0 })
})

test('weights that are held in fewer bits are never kept in another form', () => {
  assert.deepEqual(formsOf({ ...inference, smallWeights: true, weightGrowth: 3 * bytes }).left, [32, 32, 16, 16])
})

test('weights that are fed, other devices and f64 keep the convolution', () => {
  for (const target of [
    { ...inference, device: 'wasm' },
    { ...inference, device: 'webgpu' },
    { ...inference, double: true },
  ] as const) {
    assert.equal(formsOf(target).left.length, 5)
  }
  const fed = trace({ x: f32(2, 640, 32, 32), kernel: f32(640, 640, 3, 3) }, (_, { x, kernel }) =>
    convolve(x, kernel, undefined, { padding: 1 }),
  )
  assert.ok(topological(Object.values(lower(fed, inference).outputs)).some(({ op }) => op.name === 'conv2d'))
})
