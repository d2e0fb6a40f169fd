import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { channelBlock } from '../../runtime/channel-block.js'
import { RemoteEngine } from '../../runtime/engine/remote-engine.js'
import { silu } from '../../tensor/activation.js'
import { attention } from '../../tensor/attention.js'
import { conv2d, conv2dInputGradient, conv2dWeightGradient } from '../../tensor/conv.js'
import { evaluate } from '../../tensor/evaluate.js'
import { groupNorm } from '../../tensor/normalize.js'
import { maxPool2d } from '../../tensor/pool.js'
import { trace } from '../../tensor/program.js'
import { resizeNearest } from '../../tensor/resize.js'
import type { Spec, Tensor } from '../../tensor/tensor.js'
import { cos, sin } from '../../tensor/unary.js'
import { windowedSize } from '../../tensor/window.js'
import { assertClose, runOnnx } from '../../testing/onnx.js'
import { drawing, type Sample } from '../../testing/values.js'
import { lowerings } from '../choose.js'
import { settleAxisOrder } from '../passes/axis-order.js'
import { simplify } from '../passes/simplify.js'
import { widenOperands } from '../passes/widen.js'
import type { Target } from '../target.js'

/** A use of an operation: the specs of its inputs and how it is applied. */
interface Use {
  readonly specs: Record<string, Spec>
  readonly build: (inputs: Record<string, Tensor>) => Tensor
}

const f32 = (...shape: number[]): Spec => ({ dtype: 'f32', shape })
const small = fc.integer({ min: 1, max: 3 })
const side = fc.oneof(
  { arbitrary: fc.integer({ min: 3, max: 13 }), weight: 9 },
  { arbitrary: fc.constantFrom(34, 48, 64), weight: 1 },
)
const margin = fc.integer({ min: 0, max: 2 })

/** A product of matrices, no more: some lowerings are for these alone. */
const plainPointwise = { taps: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [0, 0, 0, 0] as const, groups: 1 }

/** Images whose work stays within what the definition can do in a moment: large ones are narrow. */
const convolution = fc
  .record({
    n: small,
    c: fc.constantFrom(1, 2, 16, 17),
    o: fc.constantFrom(1, 3, 16, 18),
    h: side,
    w: side,
    taps: fc.constantFrom([3, 3], [3, 3], [3, 3], [1, 1], [2, 3], [3, 1]),
    stride: fc.constantFrom([1, 1], [1, 1], [2, 2], [2, 1]),
    dilation: fc.constantFrom([1, 1], [1, 1], [1, 1], [2, 1]),
    padding: fc.tuple(margin, margin, margin, margin) as fc.Arbitrary<readonly [number, number, number, number]>,
    groups: fc.constantFrom(1, 1, 1, 2),
    pointwise: fc.constantFrom(false, false, true),
  })
  .map(({ pointwise, ...use }) => (pointwise ? { ...use, ...plainPointwise } : use))
  .filter(({ n, c, o, h, w }) => n * c * o * h * w * 9 < 8e6)
  .map(({ n, c, o, h, w, taps, groups, ...rest }) => {
    const options = rest as {
      stride: [number, number]
      dilation: [number, number]
      padding: readonly [number, number, number, number]
    }
    const [kh, kw] = taps as [number, number]
    const image = [n, c * groups, h, w]
    const weight = [o * groups, c, kh, kw]
    const fits = [0, 1].every(
      i => image[i + 2]! + options.padding[i]! + options.padding[i + 2]! > options.dilation[i]! * (taps[i]! - 1),
    )
    return { image, weight, fits, options: { ...options, groups } }
  })
  .filter(({ fits }) => fits)
const resultOf = (image: number[], [o, , kh, kw]: number[], options: Parameters<typeof windowedSize>[3]) => [
  image[0]!,
  o!,
  ...windowedSize('conv2d', image, [kh!, kw!], options),
]

/** Random uses of every operation that has lowerings. */
const uses: Record<string, fc.Arbitrary<Use>> = {
  conv2d: fc.tuple(convolution, fc.boolean()).map(([{ image, weight, options }, biased]) => ({
    specs: { x: f32(...image), w: f32(...weight), ...(biased && { bias: f32(weight[0]!) }) },
    build: ({ x, w, bias }) => conv2d(x!, w!, bias, options),
  })),
  conv2dInputGradient: convolution.map(({ image, weight, options }) => ({
    specs: { g: f32(...resultOf(image, weight, options)), w: f32(...weight) },
    build: ({ g, w }) => conv2dInputGradient(g!, w!, image, options),
  })),
  conv2dWeightGradient: convolution.map(({ image, weight, options }) => ({
    specs: { x: f32(...image), g: f32(...resultOf(image, weight, options)) },
    build: ({ x, g }) => conv2dWeightGradient(x!, g!, weight, options),
  })),
  groupNorm: fc.tuple(small, small, small, side, side).map(([n, groups, per, h, w]) => ({
    specs: { x: f32(n, groups * per, h, w), weight: f32(groups * per), bias: f32(groups * per) },
    build: ({ x, weight, bias }) => groupNorm(x!, groups, weight, bias),
  })),
  attention: fc
    .record({
      b: small,
      h: small,
      l: side,
      k: side,
      d: small,
      v: small,
      mask: fc.constantFrom('none', 'bool', 'f32'),
      causal: fc.boolean(),
    })
    .map(({ b, h, l, k, d, v, mask, causal }) => ({
      specs: {
        q: f32(b, h, l, 8 * d),
        k: f32(b, h, k, 8 * d),
        v: f32(b, h, k, 8 * (v === 3 ? d : v)),
        ...(mask !== 'none' && { mask: { dtype: mask as 'bool' | 'f32', shape: [b, 1, l, k] } }),
      },
      build: ({ q, k: keys, v: values, mask: m }) => attention(q!, keys!, values!, { causal, ...(m && { mask: m }) }),
    })),
  resizeNearest: fc.tuple(small, small, side, side, small, small).map(([n, c, h, w, a, b]) => ({
    specs: { x: f32(n, c, h, w) },
    build: ({ x }) => resizeNearest(x!, [h * (a + 1), w * b]),
  })),
  maxPool2d: fc
    .record({
      n: small,
      c: small,
      h: side,
      w: side,
      kernel: fc.constantFrom(2, 3),
      stride: small,
      padding: fc.constantFrom(0, 1),
      ceil: fc.boolean(),
    })
    .map(({ n, c, h, w, ...options }) => ({ specs: { x: f32(n, c, h, w) }, build: ({ x }) => maxPool2d(x!, options) })),
  ...Object.fromEntries(
    Object.entries({ silu, sin, cos }).map(([name, apply]) => [
      name,
      fc
        .tuple(small, side, side)
        .map(shape => ({ specs: { x: f32(...shape) }, build: ({ x }: Record<string, Tensor>) => apply(x!) })),
    ]),
  ),
}

const block = await ownChannelBlock()
const targets: Target[] = (['cpu', 'wasm', 'webgpu'] as const).flatMap(device =>
  [true, false].flatMap(training =>
    [true, false].map(contrib => ({
      device,
      training,
      contrib,
      ...(device === 'cpu' && { channelBlock: block }),
    })),
  ),
)

/** As a device on this processor finds it. */
async function ownChannelBlock(): Promise<number | undefined> {
  const engine = new RemoteEngine()
  await engine.call('open', ['cpu', 1])
  try {
    return await channelBlock(engine)
  } finally {
    await engine.terminate()
  }
}

/** Of the largest number, in f32: Winograd's tiles of four add up numbers some ten times as large as the result. */
const tolerances: Record<string, number> = { winograd4: 1e-4, winograd2: 2e-5 }

const sampleOf = (seed: number, { dtype, shape }: Spec): Sample =>
  dtype === 'bool' ? drawing(seed).bool(...shape) : drawing(seed).normal(...shape)

describe('lowerings', () => {
  for (const lowering of lowerings) {
    const fitting = fc
      .record({
        use: uses[lowering.op] ?? fc.constant(undefined),
        target: fc.constantFrom(...targets),
        seed: fc.integer(),
      })
      .map(({ use, target, seed }) => {
        assert.ok(use, `no test makes uses of ${lowering.op}`)
        const program = trace(use.specs, (_, inputs) => use.build(inputs))
        const samples = Object.entries(use.specs).map(([name, spec], i) => [name, sampleOf(seed + i, spec)] as const)
        return { program, node: program.outputs.output!, target, samples: Object.fromEntries(samples) }
      })
      .filter(({ node, target }) => node.op.name === lowering.op && lowering.fits(node, target))

    test(`${lowering.op} by ${lowering.name} means the same, before and after the passes, and runs`, async () => {
      await fc.assert(
        fc.asyncProperty(fitting, async ({ program, node, target, samples }) => {
          const rewritten = lowering.rewrite(node, target)
          const passed = widenOperands(simplify(settleAxisOrder(simplify([rewritten]), target)))[0]!
          const [wanted, found, after] = evaluate([node, rewritten, passed], samples)
          assertClose(found!, wanted!, 1e-9)
          assertClose(after!, wanted!, 1e-9)
          const { output } = await runOnnx({ ...program, outputs: { output: passed } }, samples)
          assertClose(output!, wanted!, tolerances[lowering.name] ?? 1e-5)
        }),
        { numRuns: 25, seed: 42 },
      )
    })
  }
})
