import assert from 'node:assert/strict'
import { test } from 'node:test'
import { streamOf } from './streams.js'

test('streams depend on seed, purpose and index alone', () => {
  const draw = (...of: Parameters<typeof streamOf>) => streamOf(...of).word()
  assert.equal(draw(7, 'noise', 300), draw(7, 'noise', 300))
  const different = [draw(7, 'noise', 300), draw(8, 'noise', 300), draw(7, 'time', 300), draw(7, 'noise', 301)]
  assert.equal(new Set([...different, draw(7 + 2 ** 32, 'noise', 300), draw(7, 'noise', 300 + 2 ** 32)]).size, 6)
})
