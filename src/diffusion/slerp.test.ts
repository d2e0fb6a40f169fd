import assert from 'node:assert/strict'
import { test } from 'node:test'
import { torchGenerator } from '../random/index.js'
import { slerp } from './slerp.js'

const norm = (x: Float32Array) => Math.hypot(...x)
const [a, b] = [torchGenerator(1).randn(4096), torchGenerator(2).randn(4096)]

test('the ends are the arrays themselves, and between them noise stays as strong', () => {
  assert.deepEqual(slerp(a, b, 0), a)
  const end = slerp(a, b, 1)
  assert.ok(end.every((value, i) => Math.abs(value - b[i]!) < 1e-6))
  for (const share of [0.2, 0.5, 0.8]) assert.ok(Math.abs(norm(slerp(a, b, share)) / norm(a) - 1) < 0.03)
})

test('half the way turns by half the angle; groups turn by themselves', () => {
  const right = slerp(Float32Array.of(1, 0), Float32Array.of(0, 1), 0.5)
  assert.ok(right.every(value => Math.abs(value - Math.SQRT1_2) < 1e-6))
  const columns = slerp(Float32Array.of(1, 3, 0, 4), Float32Array.of(0, 4, 1, 3), 0.5, { length: 2, stride: 2 })
  assert.ok(Math.abs(columns[0]! - Math.SQRT1_2) < 1e-6 && Math.abs(columns[2]! - Math.SQRT1_2) < 1e-6)
  assert.ok(Math.abs(columns[1]! - columns[3]!) < 1e-6 && Math.abs(Math.hypot(columns[1]!, columns[3]!) - 5) < 1e-5)
})

test('the same direction is a line, sizes that differ are refused', () => {
  assert.deepEqual(slerp(Float32Array.of(1, 1), Float32Array.of(3, 3), 0.5), Float32Array.of(2, 2))
  assert.deepEqual(slerp(Float32Array.of(0, 0), Float32Array.of(2, 2), 0.5), Float32Array.of(1, 1))
  assert.throws(() => slerp(a, b.subarray(1), 0.5), /Cannot turn 4096 numbers into 4095/)
})
