import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareTensors } from './compare.js'
import { toleranceOf } from './tolerance.js'

const rule = 'for every tensor'

test('a tolerance is found in the table, the overrides, the defaults, the words of the rule', () => {
  const table = { rule, atol: { 'a.safetensors': { x: 0.1, y: { rtol: 0.2, atol: 0.3 }, z: { rows: [1, 2] } } } }
  assert.deepEqual(toleranceOf(table, 'a.safetensors', 'x', false), { atol: 0.1, rtol: 0 })
  assert.deepEqual(toleranceOf(table, 'a.safetensors', 'y', false), { atol: 0.3, rtol: 0.2 })
  assert.deepEqual(toleranceOf(table, 'a.safetensors', 'z', false).rows, [1, 2])
  assert.deepEqual(toleranceOf(table, 'a.safetensors', 'w', false), { atol: 0, rtol: 0 })
  assert.deepEqual(toleranceOf(table, 'b.safetensors', 'x', false), { atol: 0, rtol: 0 })

  const hand = { rule, default_atol: 1e-6, overrides: { '*.sums': 0.01, 'p, q': 0, 'pil.*': 'integers: allow 1' } }
  assert.equal(toleranceOf(hand, 'f', 'run0.sums', false).atol, 0.01)
  assert.equal(toleranceOf(hand, 'f', 'q', false).atol, 0)
  assert.equal(toleranceOf(hand, 'f', 'other', false).atol, 1e-6)
  assert.equal(toleranceOf(hand, 'f', 'other', true).atol, 0)
  assert.equal(toleranceOf({ rule: 'relative 1e-12 (float64)' }, 'f', 'x', false).rtol, 1e-12)
})

test('rows: one tolerance per index of the first axis', () => {
  const expected = { shape: [2, 2], data: [0, 0, 0, 0] }
  const ours = { shape: [2, 2], data: [0.5, 0, 0, 3] }
  assert.equal(compareTensors(ours, expected, { atol: 0, rtol: 0, rows: [1, 2] }).ratio, 1.5)
})

test('masked elements are left out, NaN and infinity equal themselves alone, 64-bit integers are exact', () => {
  const tolerance = { atol: 0.1, rtol: 0 }
  const one = (data: ArrayLike<number | bigint>, compare?: number[]) => ({
    shape: [2],
    data,
    ...(compare && { compare }),
  })
  assert.equal(compareTensors(one([1, 9], [1, 0]), one([1, 2]), tolerance).ratio, 0)
  assert.equal(compareTensors(one([Number.NaN, Infinity]), one([Number.NaN, Infinity]), tolerance).ratio, 0)
  assert.equal(compareTensors(one([Number.NaN, 0]), one([0, 0]), tolerance).ratio, Infinity)
  const large = new BigInt64Array([2n ** 60n, 0n])
  assert.equal(
    compareTensors(one(new BigInt64Array([2n ** 60n + 1n, 0n])), one(large), { atol: 0, rtol: 0 }).ratio,
    Infinity,
  )
})
