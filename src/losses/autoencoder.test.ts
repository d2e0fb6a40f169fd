import assert from 'node:assert/strict'
import { test } from 'node:test'
import { grad } from '../autodiff/grad.js'
import { add, mul, sub } from '../tensor/binary.js'
import { constant } from '../tensor/constant.js'
import { stopGradient } from '../tensor/control.js'
import { evaluate } from '../tensor/evaluate.js'
import { type Program, trace } from '../tensor/program.js'
import { sum } from '../tensor/reduce.js'
import { concat } from '../tensor/slice.js'
import { f32, type Tensor, type Value } from '../tensor/tensor.js'
import { square } from '../tensor/unary.js'
import { against, discriminatorLoss, generatorLoss } from './adversarial.js'
import { likelihood, reconstructionError } from './autoencoder.js'

const list = (...data: number[]) => ({ shape: [data.length], data: Float64Array.from(data) })
const list4 = (...data: number[]) => ({ shape: [2, 1, 1, 2], data: Float64Array.from(data) })
const specs = { images: f32(2, 1, 1, 2), reconstructions: f32(2, 1, 1, 2), distance: f32(2), logvar: f32() }
const pictures = {
  images: list4(1, 0, 0, 0),
  reconstructions: list4(0, 0, 0, 3),
  distance: list(0.5, 1.5),
  logvar: { shape: [], data: Float64Array.of(Math.log(2)) },
}
const read = ({ outputs }: Program, given: Record<string, Value>) => {
  const values = evaluate(Object.values(outputs), given)
  return Object.fromEntries(Object.keys(outputs).map((name, i) => [name, values[i]!.data[0]!]))
}

test('a reconstruction is judged by means over elements, its likelihood sums over a sample', () => {
  const program = trace(specs, (_, { logvar, ...given }) => {
    const l1 = reconstructionError(given, { perceptualWeight: 0.1 })
    const l2 = reconstructionError({ ...given, distance: undefined }, { pixelLoss: 'l2', perceptualWeight: 1 })
    return { ...l1, squares: l2.error, nll: likelihood(l1.error, 2, logvar) }
  })
  const { error, pixels, perceptual, squares, nll } = read(program, pictures)
  assert.deepEqual({ error, pixels, perceptual, squares }, { error: 1.1, pixels: 1, perceptual: 1, squares: 2.5 })
  assert.ok(Math.abs(nll! - 2 * (1.1 / 2 + Math.log(2))) < 1e-12)
})

test('hinge and vanilla losses of a discriminator', () => {
  const logits = { real: list(2, -1), made: list(-3, 1) }
  const program = trace({ real: f32(2), made: f32(2) }, (_, { real, made }) => ({
    hinge: discriminatorLoss('hinge', real, made),
    vanilla: discriminatorLoss('vanilla', real, made),
    generator: generatorLoss(made),
  }))
  const { hinge, vanilla, generator } = read(program, logits)
  assert.deepEqual([hinge, generator], [0.5 * ((0 + 2) / 2 + (0 + 2) / 2), 1])
  const softplus = (x: number) => Math.log1p(Math.exp(x))
  const expected = 0.5 * ((softplus(-2) + softplus(1)) / 2 + (softplus(-3) + softplus(1)) / 2)
  assert.ok(Math.abs(vanilla! - expected) < 1e-12)
})

test('against a discriminator: the adaptive weight, and the gradient of the weighed sum', () => {
  const program = trace({ x: f32(2), factor: f32() }, (at, { x, factor }) => {
    const [first, last, spread] = ['first', 'last', 'spread'].map(name =>
      at.parameter(name, name === 'spread' ? [] : [2], { kind: 'constant', value: 1 }),
    ) as [Tensor, Tensor, Tensor]
    const reconstructions = mul(mul(x, first), last)
    const nll = add(sum(square(sub(reconstructions, 1))), square(spread))
    const adversarial = mul(sum(reconstructions), 3)
    const parts = { nll, adversarial, reconstructions, besides: [spread], lastLayer: last, weight: 0.5, factor }
    const { loss, weight } = against(parts)
    const plain = add(nll, mul(mul(stopGradient(weight), factor), adversarial))
    const gradients = (of: Tensor) =>
      sum(mul(concat(grad(of, [first, last]), { axis: 0 }), constant([1, 2, 3, 5], [4])))
    return {
      weight,
      difference: sub(loss, plain),
      gradients: sub(gradients(loss), gradients(plain)),
      spread: sub(grad(loss, [spread])[0]!, 4),
    }
  })
  const given = { x: list(1, 2), first: list(3, 1), last: list(1, 2), spread: list() }
  const factor = { shape: [], data: Float64Array.of(0.7) }
  const values = read(program, { ...given, spread: { shape: [], data: Float64Array.of(2) }, factor })
  // Reconstructions (3, 4); gradients at the last layer 2 (r - 1) x first = (12, 12) and 3 x first = (9, 6).
  assert.ok(Math.abs(values.weight! - (0.5 * Math.hypot(12, 12)) / (Math.hypot(9, 6) + 1e-4)) < 1e-12)
  for (const name of ['difference', 'gradients', 'spread']) assert.ok(Math.abs(values[name]!) < 1e-12, name)
})
