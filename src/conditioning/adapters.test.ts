import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { evaluate } from '../tensor/evaluate.js'
import { type Program, trace } from '../tensor/program.js'
import { f32, type Value } from '../tensor/tensor.js'
import { imageProjection, imageProjectionConfigOf } from './image-projection.js'
import { mapAdapter, mapAdapterConfigOf } from './map-adapter-network.js'

interface Stored {
  shape: number[]
  data: number[]
}
const read = async <T>(name: string): Promise<T[]> =>
  JSON.parse(await readFile(new URL(`../../fixtures/guidance/${name}.json`, import.meta.url), 'utf8'))
const value = ({ shape, data }: Stored): Value => ({ shape, data: Float64Array.from(data) })
const tensorsOf = (weights: Record<string, Stored>) => new Map(Object.entries(weights))
const close = (found: ArrayLike<number>, wanted: readonly number[]) => {
  assert.equal(found.length, wanted.length)
  for (const [i, v] of wanted.entries()) assert.ok(Math.abs(found[i]! - v) < 1e-4, `${i}: ${found[i]}, wanted ${v}`)
}
const namesOf = ({ parameters }: Program) => parameters.map(({ name }) => name).sort()

test('T2I-adapters are told from their tensors, take exactly those and give the original’s features', async () => {
  interface Case {
    kind: string
    levels: number
    x: Stored
    weights: Record<string, Stored>
    features: number[][]
  }
  for (const { kind, levels, x, weights, features } of await read<Case>('map-adapter')) {
    const config = mapAdapterConfigOf(tensorsOf(weights), levels, 2)!
    assert.deepEqual([config.light, config.pixel_channels], [kind === 'light', x.shape[1]])
    const program = trace({ x: f32(...x.shape) }, (at, { x }) =>
      Object.fromEntries(mapAdapter(at, config, x, 2).map((feature, i) => [i, feature])),
    )
    assert.deepEqual(namesOf(program), Object.keys(weights).sort())
    const given = Object.fromEntries(Object.entries(weights).map(([name, stored]) => [name, value(stored)]))
    const found = evaluate(Object.values(program.outputs), { ...given, x: value(x) })
    for (const [level, feature] of features.entries()) close(found[level]!.data, feature)
    assert.equal(mapAdapterConfigOf(tensorsOf(weights), levels, 3), undefined, 'of another first stage')
  }
  assert.equal(mapAdapterConfigOf(new Map(), 2, 8), undefined)
})

test('IP-adapters are told from their tensors, take exactly those and make the original’s tokens', async () => {
  interface Case {
    kind: string
    embedding: number[]
    places: number[]
    weights: Record<string, Stored>
    tokens: number[]
  }
  for (const { kind, embedding, places, weights, tokens } of await read<Case>('image-projection')) {
    const config = imageProjectionConfigOf(tensorsOf(weights))!
    assert.equal(config.kind, kind)
    const program = trace({ embedding: f32(2, 5), places: f32(2, 4, 7) }, (at, seen) =>
      imageProjection(at, config, seen),
    )
    assert.deepEqual(namesOf(program), Object.keys(weights).sort())
    const given = Object.fromEntries(Object.entries(weights).map(([name, stored]) => [name, value(stored)]))
    const inputs = {
      embedding: value({ shape: [2, 5], data: embedding }),
      places: value({ shape: [2, 4, 7], data: places }),
    }
    close(evaluate([program.outputs.output!], { ...given, ...inputs })[0]!.data, tokens)
  }
  assert.equal(imageProjectionConfigOf(new Map()), undefined)
})
