import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertClose } from '../testing/onnx.js'
import { testOperation } from '../testing/operation.js'
import { drawing } from '../testing/values.js'
import { type AttentionAttributes, attention, attentionGradient } from './attention.js'
import { add } from './binary.js'
import { evaluate } from './evaluate.js'
import {
  batchNorm,
  batchNormInference,
  groupNorm,
  groupNormByReductions,
  layerNorm,
  logSoftmax,
  softmax,
} from './normalize.js'
import { trace } from './program.js'
import { bool, f32, type Tensor } from './tensor.js'
import { sin } from './unary.js'

const cube = { n: [1, 3], c: [1, 4], k: [2, 5] } as const
const epsilon = 0.01

for (const axis of [1, -1]) {
  for (const [name, f] of Object.entries({ softmax, logSoftmax })) {
    testOperation(`${name} over axis ${axis}`, cube, ({ n, c, k }, draw) => ({
      inputs: { x: draw.normal(n, c, k) },
      build: ({ x }) => f(x!, { axis }),
      batched: ['x'],
    }))
  }
}
testOperation('layerNorm', { ...cube, affine: [0, 1] }, ({ n, c, k, affine }, draw) => ({
  inputs: { x: draw.normal(n, c, k), ...(affine && { weight: draw.normal(k), bias: draw.normal(k) }) },
  build: ({ x, weight, bias }) => layerNorm(x!, weight, bias, { epsilon }),
  batched: ['x'],
}))
const images = { n: [1, 3], groups: [1, 3], perGroup: [1, 3], h: [1, 3], w: [2, 3] } as const
testOperation('groupNorm', { ...images, affine: [0, 1] }, ({ n, groups, perGroup, h, w, affine }, draw) => {
  const channels = groups * perGroup
  return {
    inputs: {
      x: draw.normal(n, channels, h, w),
      ...(affine && { weight: draw.normal(channels), bias: draw.normal(channels) }),
    },
    build: ({ x, weight, bias }) => groupNorm(x!, groups, weight, bias, { epsilon }),
    batched: ['x'],
  }
})
testOperation('groupNormByReductions', images, ({ n, groups, perGroup, h, w }, draw) => {
  const channels = groups * perGroup
  return {
    inputs: { x: draw.normal(n, channels, h, w), weight: draw.normal(channels), bias: draw.normal(channels) },
    build: ({ x, weight, bias }) => groupNormByReductions(x!, groups, weight!, bias!, epsilon),
    batched: ['x'],
  }
})
testOperation('batchNorm', { ...cube, w: [1, 3] }, ({ n, c, k, w }, draw) => ({
  inputs: { x: draw.normal(n, c, k, w), weight: draw.normal(c), bias: draw.normal(c) },
  build: ({ x, weight, bias }) => {
    const { output, mean, variance } = batchNorm(x!, weight!, bias!, { epsilon })
    return add(output, batchNormInference(x!, weight!, mean, bias!, variance))
  },
}))
testOperation('batchNormInference', { ...cube, w: [1, 3] }, ({ n, c, k, w }, draw) => ({
  inputs: {
    x: draw.normal(n, c, k, w),
    weight: draw.normal(c),
    bias: draw.normal(c),
    mean: draw.normal(c),
    variance: draw.positive(c),
  },
  build: ({ x, weight, bias, mean, variance }) => batchNormInference(x!, weight!, bias!, mean!, variance!),
  batched: ['x'],
}))

const sequences = { n: [1, 2], h: [1, 2], queries: [1, 4], keys: [1, 4], d: [1, 3], e: [1, 3], causal: [0, 1] } as const
for (const mask of ['none', 'bool', 'additive']) {
  testOperation(`attention, mask: ${mask}`, sequences, ({ n, h, queries, keys, d, e, causal }, draw) => ({
    inputs: {
      q: draw.normal(n, h, queries, d),
      k: draw.normal(n, h, keys, d),
      v: draw.normal(n, h, keys, e),
      ...(mask === 'bool' && { mask: draw.bool(n, 1, 1, keys) }),
      ...(mask === 'additive' && { mask: draw.normal(queries, keys) }),
    },
    build: ({ q, k, v, mask }) => attention(q!, k!, v!, { causal: causal === 1, ...(mask && { mask }) }),
    batched: mask === 'bool' ? ['q', 'k', 'v', 'mask'] : ['q', 'k', 'v'],
  }))
}

test('the gradient of attention in blocks of queries is the same', () => {
  const draw = drawing(1)
  const inputs = {
    q: draw.normal(2, 2, 5, 3),
    k: draw.normal(2, 2, 4, 3),
    v: draw.normal(2, 2, 4, 2),
    mask: draw.normal(5, 4),
  }
  const { outputs } = trace(inputs, (_, { q, k, v, mask }) => {
    const node = attention(q, k, v, { mask, causal: true }) as unknown as Tensor<AttentionAttributes>
    const whole = attentionGradient(sin(node as unknown as Tensor), node)
    const blocks = attentionGradient(sin(node as unknown as Tensor), node, 40)
    return Object.fromEntries([...whole, ...blocks].map((t, i) => [`${i}`, t!]))
  })
  const values = evaluate(Object.values(outputs), inputs)
  for (let i = 0; i < 4; i++) assertClose(values[i + 4]!, values[i]!, 1e-12)
})

test('refuses what does not fit', () => {
  trace({ x: f32(2, 6, 4, 4), w: f32(5), q: f32(2, 2, 4, 3), k: f32(2, 2, 5, 4), m: f32(3, 5), b: bool(4) }, (_, t) => {
    const { x, w, q, k, m, b } = t
    assert.throws(() => groupNorm(x, 4), /groupNorm: x \[2, 6, 4, 4\] in 4 groups: wanted .* channels that 4 divides/)
    assert.throws(() => groupNorm(x, 3, w), /groupNorm: weight \[5\] does not fit x \[2, 6, 4, 4\]: wanted \[6\]/)
    assert.throws(() => layerNorm(x, undefined, w), /layerNorm: bias \[5\] does not fit x \[2, 6, 4, 4\]: wanted \[4\]/)
    assert.throws(() => batchNorm(x, w, w), /batchNorm: weight \[5\] does not fit/)
    assert.throws(() => softmax(x, { axis: 4 }), /softmax: axis 4 does not exist/)
    assert.throws(
      () => attention(q, k, k),
      /attention: q \[2, 2, 4, 3\], k \[2, 2, 5, 4\] and v \[2, 2, 5, 4\] do not fit/,
    )
    assert.throws(
      () => attention(k, k, k, { mask: m }),
      /attention: mask: shapes \[3, 5\] and \[2, 2, 5, 5\] do not broadcast/,
    )
    assert.throws(() => attention(q, q, q, { mask: b, scale: 1 }) && attention(q, q, q, { mask: x }), /attention: mask/)
    return x
  })
})
