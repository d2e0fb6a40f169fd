import assert from 'node:assert/strict'
import { grad } from '../autodiff/grad.js'
import { mul } from '../tensor/binary.js'
import { constant } from '../tensor/constant.js'
import { evaluate } from '../tensor/evaluate.js'
import { trace } from '../tensor/program.js'
import { sum } from '../tensor/reduce.js'
import type { Tensor } from '../tensor/tensor.js'
import { addAll } from '../tensor/unary.js'
import { drawing, type Sample } from './values.js'

/** A function of named tensors, as a test writes it. */
export type Build = (inputs: Record<string, Tensor>) => Tensor

/** A scalar that depends on every element in its own way. */
const weighed = (tensors: readonly Tensor[]): Tensor =>
  addAll(tensors.map((t, i) => sum(mul(t, constant(drawing(i + 11).normal(...t.shape).data, t.shape, t.dtype)))))

const trained = (inputs: Record<string, Sample>) => Object.keys(inputs).filter(name => inputs[name]!.dtype === 'f32')

/** The gradient of `build` as a function of the same inputs, to be differentiated once more. */
export const gradientOf =
  (build: Build, inputs: Record<string, Sample>): Build =>
  tensors =>
    weighed(
      grad(
        weighed([build(tensors)]),
        trained(inputs).map(name => tensors[name]!),
      ),
    )

/** Step of the differences, and how far the gradient may be from them, relative to its largest part. */
const STEP = 2e-4
const TOLERANCE = 1e-6

/**
 * Holds `grad` against fourth-order central differences of the f64 definition, along random directions in each f32 input.
 */
export function finiteDifferences(build: Build, inputs: Record<string, Sample>): void {
  const names = trained(inputs)
  const program = trace(inputs, (_, tensors) => {
    const value = weighed([build(tensors)])
    const gradients = grad(
      value,
      names.map(name => tensors[name]!),
    )
    return { value, ...Object.fromEntries(names.map((name, i) => [`d ${name}`, gradients[i]!])) }
  })
  const { value, ...outputs } = program.outputs
  const gradients = evaluate(Object.values(outputs), inputs)
  for (const [i, name] of names.entries()) {
    const { data, shape } = inputs[name]!
    for (let n = 0; n < 3; n++) {
      const direction = drawing(97 * i + n).normal(...shape).data
      const at = (step: number) => {
        const moved = { shape, data: data.map((v, k) => v + step * direction[k]!) }
        return evaluate([value!], { ...inputs, [name]: moved })[0]!.data[0]!
      }
      const numeric = (8 * (at(STEP) - at(-STEP)) - (at(2 * STEP) - at(-2 * STEP))) / (12 * STEP)
      const parts = gradients[i]!.data.map((v, k) => v * direction[k]!)
      const analytic = parts.reduce((a, b) => a + b, 0)
      const scale = parts.reduce((a, b) => a + Math.abs(b), 0)
      assert.ok(
        Math.abs(analytic - numeric) <= TOLERANCE * scale + 1e-9,
        `gradient with respect to ${name} [${shape}]: ${analytic}, by differences ${numeric}`,
      )
    }
  }
}
