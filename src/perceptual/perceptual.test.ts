import assert from 'node:assert/strict'
import { test } from 'node:test'
import { grad } from '../autodiff/grad.js'
import { evaluate } from '../tensor/evaluate.js'
import { trace } from '../tensor/program.js'
import { sum } from '../tensor/reduce.js'
import { f32, type Value } from '../tensor/tensor.js'
import { drawing } from '../testing/values.js'
import { toFloat64 } from '../weights/dtypes.js'
import { perceptualDistance } from './distance.js'
import { squeezenet } from './squeezenet.js'
import { openSqueezenet } from './weights.js'

const size = 32
const specs = { a: f32(2, 3, size, size), b: f32(2, 3, size, size) }

async function weights(): Promise<Record<string, Value>> {
  const file = await openSqueezenet()
  const entries = await Promise.all(
    [...file.tensors.keys()].map(async name => {
      const tensor = await file.read(name)
      return [name, { shape: tensor.shape, data: toFloat64(tensor) }] as const
    }),
  )
  await file.close()
  return Object.fromEntries(entries)
}

/** Two flat pictures, one of them with noise of some strength. */
const pictures = (strength: number) => {
  const noise = drawing(4).normal(2, 3, size, size)
  const flat = new Float64Array(noise.data.length).fill(1)
  return {
    a: { shape: noise.shape, data: flat },
    b: { shape: noise.shape, data: flat.map((v, i) => v + strength * noise.data[i]!) },
  }
}

test('the bundled weights are those of SqueezeNet 1.1, by name and shape', async () => {
  const bundled = await weights()
  const { parameters, outputs } = trace({ a: specs.a }, (at, { a }) =>
    Object.fromEntries(squeezenet(at, a, [1, 4, 7, 10, 12]).map((t, i) => [`${i}`, t])),
  )
  assert.deepEqual(
    new Map(parameters.map(({ name, shape }) => [name, shape])),
    new Map(Object.entries(bundled).map(([name, { shape }]) => [name, shape])),
  )
  const shapes = Object.values(outputs).map(({ shape }) => shape.slice(1))
  assert.deepEqual(shapes, [
    [64, 15, 15],
    [128, 7, 7],
    [256, 3, 3],
    [384, 1, 1],
    [512, 1, 1],
  ])
  assert.throws(() => trace({ a: f32(1, 3, 16, 40) }, (at, { a }) => squeezenet(at, a, [1])[0]!), /17 or more/)
})

test('the distance is 0 for the same picture, grows with noise and has a gradient on flat ones', async () => {
  const bundled = await weights()
  const { outputs } = trace(specs, (at, { a, b }) => {
    const distance = perceptualDistance(at, a, b)
    return { distance, gradient: grad(sum(distance), [b])[0]! }
  })
  const results = [0, 0.05, 0.5].map(strength =>
    evaluate([outputs.distance!, outputs.gradient!], { ...bundled, ...pictures(strength) }),
  )
  const [none, little, much] = results.map(([distance]) => distance!.data[0]!)
  assert.equal(none, 0)
  assert.ok(0 < little! && little! < much!, `${little} and ${much}`)
  for (const [, gradient] of results) assert.ok(gradient!.data.every(Number.isFinite))
})
