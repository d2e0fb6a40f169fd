import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { multiHeadAttention } from '../nn/attention.js'
import { attention } from '../tensor/attention.js'
import { add, greater, mul } from '../tensor/binary.js'
import { evaluate } from '../tensor/evaluate.js'
import { type Program, type Scope, trace } from '../tensor/program.js'
import { f32, i64, type Spec, type Tensor, type Value } from '../tensor/tensor.js'
import { drawnParameters } from '../testing/parameters.js'
import { drawing } from '../testing/values.js'
import { watchAttention } from './attended.js'
import type { Attend, AttentionPlace, UnetChange } from './changes.js'
import { unetConfig } from './config.js'
import { deepestReused, mostOuterBlocks, withDeep } from './deep-reuse.js'
import { freeU } from './free-u.js'
import { imageAttention } from './image-attention.js'
import { mapFeatures } from './map-features.js'
import { tokenMerging } from './token-merging.js'
import { unet } from './unet.js'
import { blindAttention, blockName, skippedLayers } from './weaken.js'

const read = async <T>(name: string): Promise<T[]> =>
  JSON.parse(await readFile(new URL(`../../fixtures/guidance/${name}.json`, import.meta.url), 'utf8'))
const value = (data: readonly number[], ...shape: number[]): Value => ({ shape, data: Float64Array.from(data) })
const close = (found: Value, wanted: ArrayLike<number>, tolerance = 1e-5) => {
  assert.equal(found.data.length, wanted.length)
  for (const [i, v] of found.data.entries())
    assert.ok(Math.abs(v - wanted[i]!) <= tolerance, `${i}: ${v}, wanted ${wanted[i]}`)
}
const place: AttentionPlace = { part: 'output', block: 0, level: 0, path: 'here', size: [4, 4] }

test('FreeU scales as the original’s Fourier transforms do, in both versions and at every size', async () => {
  interface Case {
    size: [number, number]
    version: 1 | 2
    h: number[]
    skip: number[]
    outH: number[]
    outSkip: number[]
  }
  for (const { size, version, h, skip, outH, outSkip } of await read<Case>('free-u')) {
    const change = freeU(1, { backbone: [1.3, 1], skip: [0.2, 1], version })
    const { outputs } = trace({ h: f32(2, 4, ...size), skip: f32(2, 2, ...size) }, (_, inputs) => {
      const [a, b] = change.join!((h, skip) => [h, skip], place)!(inputs.h, inputs.skip)
      return { a, b }
    })
    const given = { h: value(h, 2, 4, ...size), skip: value(skip, 2, 2, ...size) }
    const [a, b] = evaluate([outputs.a!, outputs.b!], given)
    close(a!, outH)
    close(b!, outSkip)
  }
})

test('token merging averages and hands back the tokens that the original’s matching does', async () => {
  interface Case {
    size: [number, number]
    ratio: number
    x: number[]
    merged: number[]
    rows: number
    unmerged: number[]
  }
  for (const { size, ratio, x, merged, rows, unmerged } of await read<Case>('token-merging')) {
    const change = tokenMerging(ratio, { level: 0 })
    const count = size[0] * size[1]
    const { outputs, marks } = trace({ x: f32(2, count, 5) }, (at, { x }) =>
      change.selfAttention!(x => add(mul(at('seen').mark(x), 2), 1), { ...place, size })!(x),
    )
    assert.equal(marks.seen!.shape[1], rows)
    const [seen, out] = evaluate([marks.seen!, outputs.output!], { x: value(x, 2, count, 5) })
    close(seen!, merged)
    close(out!, unmerged)
  }
  const nothing = tokenMerging(0.5, { level: 1 }).selfAttention!(x => x, place)
  assert.equal(nothing, undefined, 'other levels stay')
})

const config = unetConfig.parse({
  in_channels: 3,
  out_channels: 3,
  model_channels: 32,
  num_res_blocks: 1,
  attention_resolutions: [1, 2],
  channel_mult: [1, 2],
  num_heads: 2,
  use_spatial_transformer: true,
  context_dim: 6,
  use_checkpoint: true,
})
const specs = { x: f32(2, 3, 4, 4), t: i64(2), context: f32(2, 5, 6) }
const inputs = { x: drawing(1).normal(2, 3, 4, 4), t: drawing(2).indices(1000, 2), context: drawing(3).normal(2, 5, 6) }
type Inputs = Record<string, Tensor> & { x: Tensor; t: Tensor; context: Tensor }
const traced = (changes: (at: Scope, given: Inputs) => UnetChange[], more: Record<string, Spec> = {}): Program =>
  trace({ ...specs, ...more }, (at, given) =>
    unet(at, config, { ...(given as Inputs), changes: changes(at, given as Inputs) }),
  )
const plain = traced(() => [])
const weights = drawnParameters(plain)
const run = (program: Program, more: Record<string, Value> = {}) =>
  evaluate([program.outputs.output!], { ...drawnParameters(program), ...weights, ...inputs, ...more })[0]!
const unchanged = run(plain)

test('weaker answers are those of chosen samples alone, at the places that are asked for', () => {
  const middle = ({ part }: { part: string }) => part === 'middle'
  const chosen = { chosen: value([0, 1], 2) }
  const half = unchanged.data.length / 2
  for (const weaken of [blindAttention, skippedLayers]) {
    const at = (places: Parameters<typeof weaken>[1]) =>
      run(
        traced((_, { chosen }) => [weaken(greater(chosen!, 0.5), places)], { chosen: f32(2) }),
        chosen,
      )
    const [inMiddle, nowhere] = [at(middle), at(() => false)]
    assert.deepEqual(nowhere.data, unchanged.data)
    assert.deepEqual(inMiddle.data.subarray(0, half), unchanged.data.subarray(0, half))
    assert.notDeepEqual(inMiddle.data.subarray(half), unchanged.data.subarray(half))
  }
  const values: Attend = (_, __, v) => v
  const blind = run(traced(() => [{ attendSelf: (plain, { part }) => (part === 'middle' ? values : plain) }]))
  const chosenBoth = { chosen: value([1, 1], 2) }
  const change = traced((_, { chosen }) => [blindAttention(greater(chosen!, 0.5), middle)], { chosen: f32(2) })
  assert.deepEqual(run(change, chosenBoth).data, blind.data)
  assert.equal(blockName({ part: 'middle', block: 0 }), 'middle_block')
  assert.equal(blockName({ part: 'input', block: 4 }), 'input_blocks.4')
})

test('the middle tells what it attends to: 1 in the mean, and nothing else changes', () => {
  const watching = watchAttention()
  const watched = traced(() => [watching.change])
  const [output, seen] = evaluate([watched.outputs.output!, watching.seen()!], { ...weights, ...inputs })
  close(output!, unchanged.data)
  assert.deepEqual(seen!.shape, [2, 2, 2])
  for (const image of [seen!.data.subarray(0, 4), seen!.data.subarray(4)])
    assert.ok(Math.abs(image.reduce((sum, v) => sum + v, 0) / 4 - 1) < 1e-6)
})

test('features of maps are added behind the last residual block of each level', () => {
  const places: number[] = []
  const noted: UnetChange = {
    input: (_, { block }) => {
      places.push(block)
      return undefined
    },
  }
  const features = { a: f32(2, 32, 4, 4), b: f32(2, 64, 2, 2) }
  const zeros = { a: value(new Array(1024).fill(0), 2, 32, 4, 4), b: value(new Array(512).fill(0), 2, 64, 2, 2) }
  const program = traced((_, { a, b }) => [noted, mapFeatures(config, [a!, b!])], features)
  assert.deepEqual(places, [0, 1, 2, 3])
  assert.deepEqual(run(program, zeros).data, unchanged.data)
  const added = run(program, { ...zeros, b: drawing(7).normal(2, 64, 2, 2) })
  const changed = run(
    traced((_, { b }) => [{ input: (_, { block }) => (block === 3 ? h => add(h, b!) : undefined) }], features),
    {
      ...zeros,
      b: drawing(7).normal(2, 64, 2, 2),
    },
  )
  assert.deepEqual(added.data, changed.data)
  assert.notDeepEqual(added.data, unchanged.data)

  const large = { a: f32(2, 32, 2, 2), b: f32(2, 64, 2, 2), c: f32(2, 64, 2, 2) }
  const given = { a: drawing(8).normal(2, 32, 2, 2), b: zeros.b, c: drawing(9).normal(2, 64, 2, 2) }
  const xl = run(
    traced((_, { a, b, c }) => [mapFeatures(config, [a!, b!, c!])], large),
    given,
  )
  const byHand: (at: Scope, given: Inputs) => UnetChange[] = (_, { a, c }) => [
    { input: (_, { block }) => (block === 2 ? h => add(h, a!) : undefined), middle: () => h => add(h, c!) },
  ]
  assert.deepEqual(xl.data, run(traced(byHand, large), given).data)
})

test('tokens of a picture are attended to by keys and values of their own, as much as they count', () => {
  const program = (strength: number) =>
    run(
      traced((at, { tokens, strength }) => [imageAttention(at('ip'), tokens!, strength!)], {
        tokens: f32(2, 3, 6),
        strength: f32(2, 1, 1, 1),
      }),
      { tokens: drawing(5).normal(2, 3, 6), strength: value([strength, strength], 2, 1, 1, 1) },
    )
  assert.deepEqual(program(0).data, unchanged.data)
  assert.notDeepEqual(program(1).data, unchanged.data)
  // Where keys and values are those of the context and count once more, attention to it counts twice.
  const { outputs } = trace({ q: f32(1, 4, 6), k: f32(1, 3, 6) }, (at, { q, k }) => {
    const attend = imageAttention(at, k, at.parameter('one', [1, 1, 1, 1], { kind: 'constant', value: 1 }))
      .attendContext!(attention, place)!
    return multiHeadAttention(q, k, k, { heads: 1, attend })
  })
  const identity = value(
    [...Array(36).keys()].map(i => +(i % 7 === 0)),
    6,
    6,
  )
  const given = { q: drawing(1).normal(1, 4, 6), k: drawing(2).normal(1, 3, 6) }
  const doubled = evaluate([outputs.output!], {
    ...given,
    one: value([1], 1, 1, 1, 1),
    'here.to_k_ip.weight': identity,
    'here.to_v_ip.weight': identity,
  })[0]!
  const once = trace({ q: f32(1, 4, 6), k: f32(1, 3, 6) }, (_, { q, k }) => multiHeadAttention(q, k, k, { heads: 1 }))
  close(
    doubled,
    evaluate([once.outputs.output!], given)[0]!.data.map(v => 2 * v),
    1e-6,
  )
})

test('the outer blocks over features of the same step give the whole network’s answer', () => {
  assert.equal(mostOuterBlocks(config), 3)
  for (const outer of [1, 2, 3]) {
    const mark = plain.marks[deepestReused(config, outer)]!
    const deep = evaluate([mark], { ...weights, ...inputs })[0]!
    const outside = traced((_, { deep }) => [withDeep(config, outer, deep!)], { deep: f32(...mark.shape) })
    assert.deepEqual(run(outside, { deep }).data, unchanged.data)
  }
})
