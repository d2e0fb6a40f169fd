import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { nearest, suggest } from './nearest.js'

const known = ['steps', 'seed', 'guidanceScale', 'sampler', 'out']

test('finds the name that was meant', () => {
  assert.equal(nearest('stpes', known), 'steps')
  assert.equal(nearest('guidance-scale', known), 'guidanceScale')
  assert.equal(nearest('guid', known), 'guidanceScale')
  assert.equal(nearest('Sampller', known), 'sampler')
  assert.equal(nearest('x', known), undefined)
  assert.equal(nearest('width', known), undefined)
})

test('suggests a name, or lists the known ones', () => {
  assert.equal(suggest('sede', known), 'did you mean "seed"?')
  assert.equal(suggest('width', known), 'known: steps, seed, guidanceScale, sampler, out')
  assert.equal(suggest('width', []), 'none is known here')
})

test('one edit in a name of four letters or more still finds it, and hostile words return at once', () => {
  const name = fc.stringMatching(/^[a-z]{4,20}$/)
  fc.assert(
    fc.property(name, fc.nat(), fc.constantFrom('x', ''), (word, at, letter) => {
      const i = at % word.length
      assert.equal(nearest(word.slice(0, i) + letter + word.slice(i + 1), [word]), word)
    }),
  )
  assert.equal(nearest('x'.repeat(1e6), known), undefined)
})
