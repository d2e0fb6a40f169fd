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
import type { Target } from '../target.js'

const inference: Target = { device: 'cpu', training: false, contrib: true }
const bytes = 27 * 4 * 320 * 320

/** A thin convolution, one of 320 channels at 32x32 and two at 16x16. */
const program = trace({ x: f32(2, 64, 32, 32) }, (at, { x }) => {
  const thin = conv2d(at('thin'), x, { out: 64, kernel: 3 })
  const wide = conv2d(at('widen'), thin, { out: 320, kernel: 1 })
  const large = conv2d(at('large'), wide, { out: 320, kernel: 3 })
  const small = conv2d(at('small'), averagePool2d(large, { kernel: 2, stride: 2 }), { out: 320, kernel: 3 })
  return add(small, conv2d(at('last'), small, { out: 320, kernel: 3 }))
})

/** How many of the convolutions are left to the runtime, by the side of their images. */
const leftAt = (target: Target): number[] =>
  topological(Object.values(lower(program, target).outputs))
    .filter(({ op }) => op.name === 'conv2d')
    .map(({ shape }) => shape[2]!)

test('constant weights grow up to what they may, where a byte gains most', () => {
  assert.deepEqual(leftAt({ ...inference, weightGrowth: 0 }), [32, 32, 32, 16, 16])
  assert.deepEqual(leftAt({ ...inference, weightGrowth: bytes - 1 }), [32, 32, 32, 16, 16])
  assert.deepEqual(leftAt({ ...inference, weightGrowth: bytes }), [32, 32, 16, 16])
  assert.deepEqual(leftAt({ ...inference, weightGrowth: 2 * bytes }), [32, 32, 16])
  assert.deepEqual(leftAt(inference), [32, 32, 16])
})

test('weights that are made in every run take no room, but are transformed only for large images', () => {
  assert.deepEqual(leftAt({ ...inference, smallWeights: true, weightGrowth: 0 }), [32, 32, 16, 16])
})

test('weights that are fed, other devices and f64 keep the convolution', () => {
  for (const target of [
    { ...inference, device: 'wasm' },
    { ...inference, device: 'webgpu' },
    { ...inference, double: true },
  ] as const) {
    assert.equal(leftAt(target).length, 5)
  }
  const fed = trace({ x: f32(2, 320, 32, 32), kernel: f32(320, 320, 3, 3) }, (_, { x, kernel }) =>
    convolve(x, kernel, undefined, { padding: 1 }),
  )
  assert.ok(topological(Object.values(lower(fed, inference).outputs)).some(({ op }) => op.name === 'conv2d'))
})
