import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { multiHeadAttention } from '../../nn/attention.js'
import { hostTensor, openDevice } from '../../runtime/index.js'
import { attention } from '../../tensor/attention.js'
import { evaluate } from '../../tensor/evaluate.js'
import { type Program, trace } from '../../tensor/program.js'
import { f32 } from '../../tensor/tensor.js'
import { topological } from '../../tensor/walk.js'
import { drawing } from '../../testing/values.js'
import { lower } from '../lower.js'
import type { Target } from '../target.js'

const inference: Target = { device: 'cpu', training: false, contrib: true }
const operations = ({ outputs }: Program) => topological(Object.values(outputs)).map(({ op }) => op.name)

test('fused attention is the definition, in f64 and on the processor', async () => {
  await using device = await openDevice('cpu', { threads: 1 })
  const count = (max: number) => fc.integer({ min: 1, max })
  const sizes = fc.record({ n: count(3), heads: count(3), queries: count(40), keys: count(40), d: count(9) })
  const property = fc.asyncProperty(sizes, async ({ n, heads, queries, keys, d }) => {
    const draw = drawing(queries + keys)
    const values = {
      q: draw.normal(n, queries, heads * d),
      k: draw.normal(n, keys, heads * d),
      v: draw.normal(n, keys, heads * d),
    }
    const specs = { q: f32(...values.q.shape), k: f32(...values.k.shape), v: f32(...values.v.shape) }
    const program = trace(specs, (_, { q, k, v }) => multiHeadAttention(q, k, v, { heads }))
    const lowered = lower(program, inference)
    assert.ok(operations(lowered).includes('multiHeadAttention'))
    assert.ok(!operations(lowered).includes('transpose'), 'heads are left side by side')
    const [wanted, fused] = [program, lowered].map(({ outputs }) => evaluate([outputs.output!], values)[0]!)
    await using run = await device.compile(program)
    const given = Object.entries(values).map(([name, { data, shape }]) => [name, hostTensor(data, shape)] as const)
    const { output } = await run(Object.fromEntries(given))
    for (const [i, x] of wanted!.data.entries()) {
      assert.ok(Math.abs(fused!.data[i]! - x) < 1e-9)
      assert.ok(Math.abs(Number(output!.data[i]) - x) < 2e-5)
    }
  })
  await fc.assert(property, { numRuns: 15, seed: 1 })
})

test('masks, training and standard operators keep to products', () => {
  const specs = { q: f32(1, 2, 4, 3), mask: f32(4, 4) }
  const masked = trace(specs, (_, { q, mask }) => attention(q, q, q, { mask }))
  const causal = trace(specs, (_, { q }) => attention(q, q, q, { causal: true }))
  const plain = trace(specs, (_, { q }) => attention(q, q, q))
  for (const program of [masked, causal]) {
    assert.ok(!operations(lower(program, inference)).includes('multiHeadAttention'))
  }
  for (const target of [
    { ...inference, training: true },
    { ...inference, contrib: false },
  ] as const) {
    assert.ok(!operations(lower(plain, target)).includes('multiHeadAttention'))
  }
})
