import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { brownianPath } from './brownian.js'
import { seedWords } from './seed-sequence.js'
import { torchGenerator } from './torch.js'

interface Reference {
  readonly runs: readonly {
    readonly seed: string
    readonly low: number
    readonly high: number
    readonly length: number
    readonly asks: readonly { readonly from: number; readonly to: number; readonly increment: readonly number[] }[]
  }[]
  readonly seedWords: readonly {
    readonly entropy: string
    readonly spawnKey: readonly number[]
    readonly poolSize: number
    readonly words: readonly number[]
  }[]
}

const url = new URL('../../fixtures/random/brownian.json', import.meta.url)
const reference = JSON.parse(readFileSync(url, 'utf8')) as Reference

test("seeds spread as numpy's SeedSequence spreads them", () => {
  for (const { entropy, spawnKey, poolSize, words } of reference.seedWords) {
    assert.deepEqual([...seedWords(BigInt(entropy), words.length, { spawnKey, poolSize })], words)
  }
})

test("a path is torchsde's Brownian tree", () => {
  for (const { seed, low, high, length, asks } of reference.runs) {
    const path = brownianPath({ low, high, seed: BigInt(seed), draw: own => torchGenerator(own).randn(length) })
    for (const { from, to, increment } of asks) {
      const ours = path(from, to)
      for (const [i, value] of increment.entries()) {
        assert.ok(Math.abs(ours[i]! - value) < 5e-7 * Math.sqrt(high), `${from} to ${to}: ${ours[i]} against ${value}`)
      }
    }
  }
})

test('what is asked before changes nothing, and increments add up', () => {
  const draw = (seed: number) => torchGenerator(seed).randn(16)
  const make = () => brownianPath({ low: 0.03, high: 14, seed: 3, draw })
  const path = make()
  for (let i = 1; i < 60; i++) path(0.03 + i / 7, 0.03 + i / 5)
  assert.deepEqual(path(2.5, 1.25), make()(2.5, 1.25))
  const [whole, above, below] = [path(1, 9), path(4, 9), path(1, 4)]
  for (const [i, value] of whole.entries()) assert.ok(Math.abs(value - above[i]! - below[i]!) < 1e-5)
  assert.ok(path(5, 5).every(value => value === 0))
})
