import assert from 'node:assert/strict'
import { test } from 'node:test'
import { torchGenerator } from '../../random/index.js'
import { profiles } from './table.js'

const shape = [2, 4, 4] as const
const length = 32
const pictures = [5, 6].map(seed => ({ seed, place: 0, of: 1 }))
const request = { pictures, shape, source: 'cpu', sigmaMin: 0.1, sigmaMax: 10 } as const
const rules = { schedule: 'normal' } as const

/** The first draws of a generator, of so many numbers each. */
function drawn(seed: number, ...counts: readonly number[]): Float32Array[] {
  const generator = torchGenerator(seed)
  return counts.map(count => generator.randn(count))
}
const parts = (all: Float32Array) => [all.slice(0, length), all.slice(length)]

test('diffusers draws latents of pictures, noise and what conditions want from one generator, in this order', () => {
  const noise = profiles.diffusers.noise(request, rules)
  const found = [noise.encoded!, noise.start].map(draw => parts(draw()))
  const rest = noise.conditions!.map(draw => draw(20))
  const next = parts(noise.next())
  for (const [i, { seed }] of pictures.entries())
    assert.deepEqual([...found.map(each => each[i]), rest[i], next[i]], drawn(seed, length, length, 20, length))
  assert.deepEqual(noise.encoded!(), noise.encoded!())
  assert.deepEqual(parts(noise.known!()), found[1])
})

test('stable-diffusion.cpp encodes once, by the seed of the first of all its pictures, and begins anew for the noise', () => {
  const first = { seed: 4, place: 0, of: 1 }
  const noise = profiles.sdcpp.noise({ ...request, first }, rules)
  const [picture, rest] = drawn(first.seed, length, 20)
  assert.deepEqual(parts(noise.encoded!()), [picture, picture])
  assert.deepEqual(
    noise.conditions!.map(draw => draw(20)),
    [rest, rest],
  )
  const [start, next] = [parts(noise.start()), parts(noise.next())]
  for (const [i, { seed }] of pictures.entries()) assert.deepEqual([start[i], next[i]], drawn(seed, length, length))
})

test('the others take the mean of what an encoder tells', () => {
  for (const name of ['compvis', 'a1111', 'comfyui'] as const)
    assert.deepEqual([profiles[name].noise(request, rules).encoded, name], [undefined, name])
})
