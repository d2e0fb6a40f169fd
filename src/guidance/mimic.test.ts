import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { guide } from './classifier-free.js'
import { mimicRange } from './mimic.js'

test('strong guidance keeps the range of the weaker one that it mimics, as the original extension computes it', async () => {
  interface Case {
    shape: [number, number, number, number]
    conditional: number[]
    unconditional: number[]
    scale: number
    mimic: number
    percentile: number
    phi: number
    out: number[]
  }
  const file = new URL('../../fixtures/guidance/mimic.json', import.meta.url)
  for (const given of JSON.parse(await readFile(file, 'utf8')) as Case[]) {
    const { shape, scale, mimic, percentile, phi, out } = given
    const led = (by: number) => guide(Float32Array.from(given.conditional), Float32Array.from(given.unconditional), by)
    const found = mimicRange(led(scale), led(mimic), { maps: shape[0] * shape[1], percentile, phi })
    for (const [i, v] of out.entries()) assert.ok(Math.abs(found[i]! - v) < 2e-5, `${i}: ${found[i]}, wanted ${v}`)
  }
})

test('a flat prediction stays as it is', () => {
  const flat = Float32Array.of(2, 2, 2, 2)
  assert.deepEqual(mimicRange(flat, flat, { maps: 1, percentile: 0.9, phi: 1 }), flat)
})
