import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { evaluate } from '../../tensor/evaluate.js'
import { type Program, trace } from '../../tensor/program.js'
import { f32, type Value } from '../../tensor/tensor.js'
import { imageProjection, imageProjectionConfigOf } from './image-projection.js'
import { mapAdapter, mapAdapterConfigOf } from './map-adapter-network.js'

interface Stored {
  shape: number[]
  data: number[]
}
const read = async <T>(name: string): Promise<T[]> =>
  JSON.parse(await readFile(new URL(`../../../fixtures/guidance/${name}.json`, import.meta.url), 'utf8'))
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
  const odd = { 'norm.weight': { shape: [6], data: [] }, 'proj.weight': { shape: [7, 5], data: [] } }
  assert.equal(imageProjectionConfigOf(tensorsOf(odd)), undefined, 'no whole number of tokens')
})

test('of Stable Diffusion 1.5 both have the names and shapes of the published files', () => {
  const shapesOf = ({ parameters }: Program) => new Map(parameters.map(({ name, shape }) => [name, { shape }]))
  const shared = { channels: [320, 640, 1280, 1280], kernel: 1 as const, xl: false }
  const sketch = { ...shared, pixel_channels: 1 as const, num_res_blocks: 2, light: false }
  const light = { ...shared, pixel_channels: 3 as const, num_res_blocks: 4, light: true, kernel: 3 as const }
  const traced = (config: typeof sketch | typeof light) =>
    trace({ map: f32(1, config.pixel_channels, 512, 512) }, (at, { map }) => {
      const features = mapAdapter(at, config, map, 8)
      assert.deepEqual(
        features.map(({ shape }) => shape),
        [64, 32, 16, 8].map((side, level) => [1, shared.channels[level]!, side, side]),
      )
      return { last: features.at(-1)! }
    })
  const full = shapesOf(traced(sketch))
  assert.equal(full.size, 2 + 8 * 4 + 2 * 2)
  assert.deepEqual(full.get('conv_in.weight')!.shape, [320, 64, 3, 3])
  assert.deepEqual(full.get('body.2.in_conv.weight')!.shape, [640, 320, 1, 1])
  assert.deepEqual(full.get('body.6.block1.weight')!.shape, [1280, 1280, 3, 3])
  assert.deepEqual(mapAdapterConfigOf(full, 4, 8), sketch)
  const small = shapesOf(traced(light))
  assert.deepEqual(small.get('body.0.in_conv.weight')!.shape, [80, 192, 1, 1])
  assert.deepEqual(small.get('body.3.body.3.block2.weight')!.shape, [320, 320, 3, 3])
  assert.deepEqual(mapAdapterConfigOf(small, 4, 8), light)

  const xl = { ...sketch, pixel_channels: 3 as const, xl: true }
  const sdxl = trace({ map: f32(1, 3, 1024, 1024) }, (at, { map }) => {
    const features = mapAdapter(at, xl, map, 8)
    assert.deepEqual(
      features.map(({ shape }) => shape[2]),
      [64, 64, 32, 32],
    )
    return { last: features.at(-1)! }
  })
  assert.deepEqual(shapesOf(sdxl).get('conv_in.weight')!.shape, [320, 768, 3, 3])
  assert.deepEqual(mapAdapterConfigOf(shapesOf(sdxl), 3, 8), xl)

  const plus = { kind: 'resampler', tokens: 16, width: 768, inner: 768, depth: 4, heads: 12, head_width: 64 } as const
  const projections = [{ kind: 'linear', tokens: 4, width: 768 } as const, plus]
  for (const config of projections) {
    const program = trace({ embedding: f32(1, 1024), places: f32(1, 257, 1280) }, (at, seen) =>
      imageProjection(at, config, seen),
    )
    const shapes = shapesOf(program)
    assert.deepEqual(imageProjectionConfigOf(shapes), config)
    assert.deepEqual(shapes.get('proj.weight')?.shape, config.kind === 'linear' ? [3072, 1024] : undefined)
    assert.deepEqual(shapes.get('layers.3.0.to_kv.weight')?.shape, config.kind === 'linear' ? undefined : [1536, 768])
    assert.deepEqual(shapes.get('layers.3.1.1.weight')?.shape, config.kind === 'linear' ? undefined : [3072, 768])
  }
})
