import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { conv2d } from '../../tensor/conv.js'
import { evaluate } from '../../tensor/evaluate.js'
import { trace } from '../../tensor/program.js'
import { open } from '../../tensor/shape.js'
import { f32 } from '../../tensor/tensor.js'
import { assertClose, runOnnx } from '../../testing/onnx.js'
import { drawing } from '../../testing/values.js'
import { settleAxisOrder } from '../passes/axis-order.js'
import { simplify } from '../passes/simplify.js'
import { isSame3x3, winogradOfConstant } from './constant-winograd.js'

const target = { device: 'cpu', training: false, contrib: true } as const
const channels = fc.integer({ min: 1, max: 5 })
const width = fc.integer({ min: 1, max: 19 })
/** Some are longer than what is computed in one piece, and no multiple of a strip. */
const height = fc.oneof({ arbitrary: width, weight: 4 }, { arbitrary: fc.constantFrom(64, 65, 102), weight: 1 })

test('a convolution by transformed weights means the same, in strips and parts too, and runs with an open batch', async () => {
  const cases = fc.record({
    n: fc.integer({ min: 1, max: 3 }),
    c: channels,
    o: channels,
    h: height,
    w: width,
    biased: fc.boolean(),
    kept: fc.boolean(),
    part: fc.constantFrom(1, 2000, 2 ** 20),
    seed: fc.integer(),
  })
  await fc.assert(
    fc.asyncProperty(cases, async ({ n, c, o, h, w, biased, kept, part, seed }) => {
      const draw = drawing(seed)
      const weights = { weight: f32(o, c, 3, 3), ...(biased && { bias: f32(o) }) }
      const make = (batch: number) =>
        trace({ x: f32(batch, c, h, w), ...weights }, (_, { x, weight, bias }) =>
          conv2d(x!, weight!, bias, { padding: 1 }),
        )
      const samples = {
        x: draw.normal(n, c, h, w),
        weight: draw.normal(o, c, 3, 3),
        ...(biased && { bias: draw.normal(o) }),
      }
      const node = make(n).outputs.output!
      assert.ok(isSame3x3(node))
      const [wanted, found] = evaluate([node, winogradOfConstant(node, kept, part)], samples)
      assertClose(found!, wanted!, 1e-9)
      const opened = make(open)
      const [output] = simplify(
        settleAxisOrder(simplify([winogradOfConstant(opened.outputs.output!, kept, part)]), target),
      )
      const run = await runOnnx({ ...opened, outputs: { output: output! } }, samples)
      assertClose(run.output!, wanted!, 1e-4)
    }),
    { numRuns: 30, seed: 7 },
  )
})

test('other convolutions are not taken for one', () => {
  const isTaken = (weight: number[], options: Parameters<typeof conv2d>[3]) =>
    isSame3x3(
      trace({ x: f32(1, 4, 9, 9), weight: f32(...weight) }, (_, { x, weight }) => conv2d(x, weight, undefined, options))
        .outputs.output!,
    )
  assert.ok(isTaken([4, 4, 3, 3], { padding: 1 }))
  assert.ok(!isTaken([4, 4, 3, 3], {}))
  assert.ok(!isTaken([4, 4, 1, 1], { padding: 1 }))
  assert.ok(!isTaken([4, 4, 3, 3], { padding: 1, stride: 2 }))
  assert.ok(!isTaken([4, 4, 3, 3], { padding: 2, dilation: 2 }))
  assert.ok(!isTaken([4, 2, 3, 3], { padding: 1, groups: 2 }))
})
