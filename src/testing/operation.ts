import { describe, test } from 'node:test'
import fc from 'fast-check'
import { evaluate } from '../tensor/evaluate.js'
import { trace } from '../tensor/program.js'
import { type Build, finiteDifferences, gradientOf } from './gradients.js'
import { assertClose, runOnnx } from './onnx.js'
import { type Draw, drawing, type Sample } from './values.js'

/** One random use of an operation. */
export interface Case {
  inputs: Record<string, Sample>
  build: Build
  /** Inputs whose first axis is the batch: the operation is also tried with that axis open. */
  batched?: readonly string[]
}

/** What holds of the operation; all of it by default. */
export interface Claims {
  gradient?: boolean
  /** Whether its gradient has one in turn. */
  second?: boolean
  runs?: number
}

/**
 * The contract of every operation, over random sizes (each within its range): its gradient equals finite differences of
 * its f64 definition, the gradient's gradient too, and what it emits computes what the definition says, with an open batch
 * as well.
 */
export function testOperation<Sizes extends Record<string, readonly [number, number]>>(
  name: string,
  sizes: Sizes,
  make: (sizes: { [Name in keyof Sizes]: number }, draw: Draw) => Case,
  { gradient = true, second = gradient, runs = 30 }: Claims = {},
): void {
  const ranges = Object.entries(sizes).map(([key, [min, max]]) => [key, fc.integer({ min, max })] as const)
  const cases = fc.record({ seed: fc.integer(), sizes: fc.record(Object.fromEntries(ranges)) })
  const settings = { numRuns: runs, seed: 42 }
  const caseOf = (random: { seed: number; sizes: Record<string, number> }) =>
    make(random.sizes as { [Name in keyof Sizes]: number }, drawing(random.seed))

  describe(name, () => {
    if (gradient) {
      test('gradient equals finite differences', () => {
        fc.assert(
          fc.property(cases, random => {
            const { inputs, build } = caseOf(random)
            finiteDifferences(build, inputs)
          }),
          settings,
        )
      })
    }
    if (second) {
      test('second-order gradient equals finite differences', () => {
        fc.assert(
          fc.property(cases, random => {
            const { inputs, build } = caseOf(random)
            finiteDifferences(gradientOf(build, inputs), inputs)
          }),
          { ...settings, numRuns: Math.ceil(runs / 2) },
        )
      })
    }
    test('emission equals the definition', async () => {
      await fc.assert(
        fc.asyncProperty(cases, async random => {
          const { inputs, build, batched = [] } = caseOf(random)
          const closed = trace(inputs, (_, tensors) => {
            const output = build(tensors)
            return gradient ? { output, gradient: gradientOf(build, inputs)(tensors) } : output
          })
          const wanted = evaluate(Object.values(closed.outputs), inputs)
          const found = await runOnnx(closed, inputs)
          for (const [i, output] of Object.keys(closed.outputs).entries()) assertClose(found[output]!, wanted[i]!, 3e-5)
          if (batched.length === 0) return
          const specs = Object.entries(inputs).map(([key, { dtype, shape }]) => {
            return [key, { dtype, shape: batched.includes(key) ? [-1, ...shape.slice(1)] : shape }]
          })
          const open = trace(Object.fromEntries(specs), (_, tensors) => build(tensors))
          assertClose((await runOnnx(open, inputs)).output!, wanted[0]!, 3e-5)
        }),
        settings,
      )
    })
  })
}
