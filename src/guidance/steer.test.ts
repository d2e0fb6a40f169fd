import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toEpsilon, toX0 } from '../diffusion/index.js'
import { steer } from './steer.js'

const [x, raw, gradient] = [
  Float32Array.of(1, -2, 0.5, 3),
  Float32Array.of(0.2, 0.1, -0.4, 1),
  Float32Array.of(1, 0, -2, 1),
]
const level = { alpha: 0.8, sigma: 0.6 }
const near = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).forEach((value, i) => {
    assert.ok(Math.abs(value - b[i]!) < 1e-5, `${value} and ${b[i]}`)
  })

test('the predicted noise moves along the gradient, in every parameterisation', () => {
  const forces = [
    { gradient, weight: 0.05 },
    { gradient, weight: 0.05 },
  ]
  for (const parameterization of ['epsilon', 'x0', 'v'] as const) {
    const led = steer(raw, level, parameterization, forces, { images: 2 })
    const before = toEpsilon(raw, x, level, parameterization)
    near(
      toEpsilon(led, x, level, parameterization),
      before.map((e, i) => e + 0.6 * 0.1 * gradient[i]!),
    )
  }
})

test('the expected image of each picture moves no further than allowed, and not at all where there is no signal', () => {
  const strong = [{ gradient, weight: 1e6 }]
  const led = steer(raw, level, 'epsilon', strong, { images: 2, most: 0.5 })
  const [before, after] = [raw, led].map(prediction => toX0(prediction, x, level, 'epsilon'))
  for (const start of [0, 2]) {
    const moved = [0, 1].map(i => after![start + i]! - before![start + i]!)
    assert.ok(Math.abs(Math.hypot(...moved) / Math.SQRT2 - 0.5) < 1e-4)
  }
  assert.equal(steer(raw, { alpha: 0, sigma: 1 }, 'v', strong, { images: 2 }), raw)
})
