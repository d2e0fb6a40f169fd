import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addNoise, target, toEpsilon, toV, toX0, vpLevel } from './parameterization.js'
import type { Parameterization } from './snr.js'

const tensor = fc.float32Array({ minLength: 6, maxLength: 6, min: -4, max: 4, noNaN: true })
const parameterization = fc.constantFrom<Parameterization>('epsilon', 'x0', 'v')

function close(actual: Float32Array, expected: Float32Array, tolerance: number): void {
  actual.forEach((value, i) => {
    assert.ok(Math.abs(value - expected[i]!) <= tolerance, `${value} against ${expected[i]}`)
  })
}

test('a perfect prediction in any parameterization gives back the image, the noise and v', () => {
  fc.assert(
    fc.property(
      tensor,
      tensor,
      fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      parameterization,
      (x0, noise, bar, to) => {
        const level = vpLevel(bar)
        const x = addNoise(x0, noise, level)
        const raw = target(x0, noise, level, to)
        close(toX0(raw, x, level, to), x0, 1e-4)
        close(toEpsilon(raw, x, level, to), noise, 1e-4)
        close(toV(raw, x, level, to), target(x0, noise, level, 'v'), 1e-4)
      },
    ),
  )
})

test('v and x0 stay defined where the signal is zero, epsilon is refused there', () => {
  const level = vpLevel(0)
  const noise = Float32Array.of(1, -2)
  const x0 = Float32Array.of(0.5, 0.25)
  assert.deepEqual(toX0(target(x0, noise, level, 'v'), noise, level, 'v'), x0)
  assert.deepEqual(toEpsilon(target(x0, noise, level, 'v'), noise, level, 'v'), noise)
  assert.throws(() => toX0(noise, noise, level, 'epsilon'), RangeError)
  assert.throws(() => toEpsilon(x0, x0, vpLevel(1), 'x0'), RangeError)
})
