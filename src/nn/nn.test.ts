import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { evaluate } from '../tensor/evaluate.js'
import { trace } from '../tensor/program.js'
import { f32, i64 } from '../tensor/tensor.js'
import { drawing } from '../testing/values.js'
import { fromTokens, mergeHeads, multiHeadAttention, splitHeads, toTokens } from './attention.js'
import { conv2d, pointwise } from './conv.js'
import { dropoutBy, dropoutShapes } from './dropout.js'
import { embedding } from './embedding.js'
import { linear } from './linear.js'
import { groupNorm, layerNorm } from './norm.js'
import { timestepEmbedding } from './timestep.js'

test('layers have the names, shapes and starting values of torch modules', () => {
  const { parameters } = trace({ x: f32(2, 64, 4, 4), ids: i64(2, 3) }, (at, { x, ids }) => {
    const h = groupNorm(at('norm'), conv2d(at('conv'), x, { out: 32, kernel: 3, stride: 2 }))
    return {
      h: pointwise(at('point'), h, { out: 5 }),
      e: layerNorm(
        at('ln'),
        linear(at('proj'), embedding(at('emb'), ids, { count: 7, width: 4 }), { out: 6, bias: false }),
      ),
    }
  })
  const uniform = (fanIn: number) => ({ kind: 'uniform', bound: 1 / Math.sqrt(fanIn) })
  assert.deepEqual(
    parameters.map(({ name, shape, init }) => [name, shape, init]),
    [
      ['conv.weight', [32, 64, 3, 3], uniform(576)],
      ['conv.bias', [32], uniform(576)],
      ['norm.weight', [32], { kind: 'constant', value: 1 }],
      ['norm.bias', [32], { kind: 'constant', value: 0 }],
      ['point.weight', [5, 32, 1], uniform(32)],
      ['point.bias', [5], uniform(32)],
      ['emb.weight', [7, 4], { kind: 'normal', std: 1 }],
      ['proj.weight', [6, 4], uniform(4)],
      ['ln.weight', [6], { kind: 'constant', value: 1 }],
      ['ln.bias', [6], { kind: 'constant', value: 0 }],
    ],
  )
})

test('sinusoids in both conventions, for fractional times, with a zero at the end of an odd width', () => {
  const embed = (width: number, convention: 'guided-diffusion' | 'ddpm') => {
    const { outputs } = trace({ t: f32(2) }, (_, { t }) => timestepEmbedding(t, width, { convention }))
    return [...evaluate([outputs.output!], { t: { shape: [2], data: Float64Array.of(0, 2.5) } })[0]!.data]
  }
  const close = (ours: number[], wanted: number[]) =>
    assert.ok(
      ours.every((v, i) => Math.abs(v - wanted[i]!) < 1e-6),
      `${ours} against ${wanted}`,
    )
  close(embed(4, 'guided-diffusion'), [1, 1, 0, 0, Math.cos(2.5), Math.cos(0.025), Math.sin(2.5), Math.sin(0.025)])
  close(embed(4, 'ddpm'), [0, 0, 1, 1, Math.sin(2.5), Math.sin(2.5e-4), Math.cos(2.5), Math.cos(2.5e-4)])
  close(embed(3, 'guided-diffusion'), [1, 0, 0, Math.cos(2.5), Math.sin(2.5), 0])
})

test('heads and tokens come apart and together again', () => {
  const sizes = fc.record({
    batch: fc.integer({ min: 1, max: 3 }),
    heads: fc.integer({ min: 1, max: 4 }),
    d: fc.integer({ min: 1, max: 5 }),
  })
  fc.assert(
    fc.property(sizes, ({ batch, heads, d }) => {
      const x = drawing(1).normal(batch, heads * d, 2, 3)
      const { outputs } = trace({ x: f32(...x.shape) }, (_, inputs) =>
        fromTokens(mergeHeads(splitHeads(toTokens(inputs.x), heads)), inputs.x),
      )
      assert.deepEqual(evaluate([outputs.output!], { x })[0]!.data, x.data)
    }),
    { numRuns: 20, seed: 1 },
  )
})

test('one head of attention over equal keys gives the mean of the values', () => {
  const { outputs } = trace({ q: f32(1, 2, 4), k: f32(1, 3, 4), v: f32(1, 3, 4) }, (_, { q, k, v }) =>
    multiHeadAttention(q, k, v, { heads: 2 }),
  )
  const v = drawing(2).normal(1, 3, 4)
  const values = { q: drawing(3).normal(1, 2, 4), k: { shape: [1, 3, 4], data: new Float64Array(12) }, v }
  const [out] = evaluate([outputs.output!], values)
  for (const [i, x] of out!.data.entries()) {
    const mean = [0, 4, 8].reduce((sum, row) => sum + v.data[row + (i % 4)]!, 0) / 3
    assert.ok(Math.abs(x - mean) < 1e-12)
  }
})

test('dropout masks are inputs, told by path and shape beforehand', () => {
  let shapes = {}
  trace({ x: f32(2, 3) }, (at, { x }) => {
    shapes = dropoutShapes(dropout => dropout(at('block.2'), x))
    return x
  })
  assert.deepEqual(shapes, { 'block.2': [2, 3] })
  const { outputs } = trace({ x: f32(2), mask: f32(2) }, (at, { x, mask }) =>
    dropoutBy({ 'block.2': mask })(at('block.2'), x),
  )
  const values = { x: { shape: [2], data: Float64Array.of(1, 2) }, mask: { shape: [2], data: Float64Array.of(0, 2) } }
  assert.deepEqual([...evaluate([outputs.output!], values)[0]!.data], [0, 4])
  assert.throws(() => trace({ x: f32(2) }, (at, { x }) => dropoutBy({})(at('other'), x)), /no mask for "other"/)
})
