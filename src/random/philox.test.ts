import assert from 'node:assert/strict'
import { test } from 'node:test'
import { philox4x32, philoxGenerator } from './philox.js'

test('the words are those of the published known answers (Random123, kat_vectors)', () => {
  const ones = 0xffffffff
  assert.deepEqual(philox4x32([0, 0, 0, 0], [0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8])
  assert.deepEqual(philox4x32([ones, ones, ones, ones], [ones, ones]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd])
})

test('normals are those that a CUDA device draws for seed 0', () => {
  const device = [
    -0.92466259, -0.42534415, -2.6438457, 0.14518388, -0.12086647, -0.57972564, -0.62285122, -0.32838709, -1.07454231,
    -0.36314407, -1.67105067, 2.26550497,
  ]
  const ours = philoxGenerator(0).randn(12)
  for (const [i, value] of device.entries()) assert.ok(Math.abs(ours[i]! - value) < 1e-6, `${ours[i]} against ${value}`)
})

test('the offset alone restores a generator', () => {
  const g = philoxGenerator(7)
  g.randn(3)
  assert.deepEqual(philoxGenerator(7, g.offset).randn(5), g.randn(5))
})
