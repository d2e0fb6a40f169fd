import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { conv2d } from '../../tensor/conv.js'
import { evaluate } from '../../tensor/evaluate.js'
import { trace } from '../../tensor/program.js'
import { resizeNearest } from '../../tensor/resize.js'
import { open } from '../../tensor/shape.js'
import { f32 } from '../../tensor/tensor.js'
import { assertClose, runOnnx } from '../../testing/onnx.js'
import { drawing } from '../../testing/values.js'
import { enlargedConv, isEnlarged3x3 } from './enlarged-conv.js'

const size = fc.integer({ min: 1, max: 6 })

test('a convolution of an enlarged image in the small one means the same, with an open batch too', async () => {
  const cases = fc.record({ n: size, c: size, o: size, h: size, w: size, kept: fc.boolean(), seed: fc.integer() })
  await fc.assert(
    fc.asyncProperty(cases, async ({ n, c, o, h, w, kept, seed }) => {
      const make = (batch: number) =>
        trace({ x: f32(batch, c, h, w), weight: f32(o, c, 3, 3), bias: f32(o) }, (_, { x, weight, bias }) =>
          conv2d(resizeNearest(x, [2 * h, 2 * w]), weight, bias, { padding: 1 }),
        )
      const draw = drawing(seed)
      const samples = { x: draw.normal(n, c, h, w), weight: draw.normal(o, c, 3, 3), bias: draw.normal(o) }
      const node = make(n).outputs.output!
      assert.ok(isEnlarged3x3(node))
      const [wanted, found] = evaluate([node, enlargedConv(node, kept)], samples)
      assertClose(found!, wanted!, 1e-9)
      const opened = make(open)
      const run = await runOnnx({ ...opened, outputs: { output: enlargedConv(opened.outputs.output!, kept) } }, samples)
      assertClose(run.output!, wanted!, 1e-4)
    }),
    { numRuns: 12, seed: 7 },
  )
})

test('other sizes are not taken for one', () => {
  const isTaken = (to: [number, number]) =>
    isEnlarged3x3(
      trace({ x: f32(1, 4, 6, 6), weight: f32(4, 4, 3, 3) }, (_, { x, weight }) =>
        conv2d(resizeNearest(x, to), weight, undefined, { padding: 1 }),
      ).outputs.output!,
    )
  assert.ok(isTaken([12, 12]))
  assert.ok(!isTaken([18, 12]))
  assert.ok(!isTaken([6, 12]))
})
