import assert from 'node:assert/strict'
import { test } from 'node:test'
import { torchGenerator } from '../random/index.js'
import { trace } from '../tensor/program.js'
import {
  assumedConditions,
  type ConditioningConfig,
  checkRequest,
  conditioningConfig,
  conditioningRecipe,
  type conditionings,
  embedConditions,
  embedderScope,
  inputsOf,
  openReaders,
  reachOf,
  stack,
} from './index.js'
import { nearest } from './neighbours.js'

const place = { width: 16, height: 16, latents: [4, 4, 4] } as const
const every = assumedConditions(
  conditioningRecipe.parse({
    text: { n_embed: 8, n_layer: 1, vocabulary: 300, heads: 2, dim_head: 4 },
    class: { embed_dim: 8, names: ['a', 'b'] },
    layout: { n_embed: 8, n_layer: 1, heads: 2, dim_head: 4, vocab_size: 100, max_objects: 2 },
    map: { in_channels: 4, out_channels: 2, n_stages: 2 },
    low_resolution: { factor: 4 },
    mask: {},
    neighbours: { width: 8, k: 2 },
  }),
)
const traced = (config: ConditioningConfig) => {
  const specs = Object.fromEntries(
    Object.entries(inputsOf(config, place)).map(([name, { dtype, shape }]) => [name, { dtype, shape: [-1, ...shape] }]),
  )
  return trace(specs, (at, inputs) => ({
    ...embedConditions(at, config, inputs, {
      place,
      encode: images => trace({}, () => images).outputs.output!,
    }),
  }))
}

test('all conditions at once: tokens one after the other, channels too, no name twice', () => {
  const { mask: _, ...rest } = every
  const { outputs, parameters } = traced(rest)
  const tokens = 77 + 1 + (3 * 2 + 2) + 2
  assert.deepEqual(outputs.context!.shape, [-1, tokens, 8])
  assert.deepEqual(outputs.concat!.shape, [-1, 2 + 3, 4, 4])
  assert.deepEqual(reachOf(every, 4), { concat: 2 + 3 + 5, context: 8 })
  const holders = (['text', 'class', 'layout', 'map'] as const).map(name => embedderScope(rest, name)!)
  for (const { name } of parameters) assert.equal(holders.filter(({ holds }) => holds(name)).length, 1, name)
  const single = traced({ class: every.class! }).parameters.map(({ name }) => name)
  assert.deepEqual(single, ['cond_stage_model.embedding.weight'])
  const names = Object.keys(every).flatMap(name =>
    Object.keys(inputsOf({ [name]: every[name as keyof typeof every] }, place)),
  )
  assert.equal(new Set(names).size, names.length)
})

test('conditions that no network can take together are told', () => {
  const config = conditioningConfig.parse({ ...every, neighbours: { width: 16 } })
  assert.match(reachOf(config, 4).conflict!, /several widths: text 8, class 8, layout 8, neighbours 16/)
  const twice = conditioningConfig.parse({
    class: { into: 'adm', n_classes: 3 },
    low_resolution: { noise_augmentation: 10 },
  })
  assert.match(reachOf(twice, 4).conflict!, /found class 3, low_resolution 1000/)
})

test('a request is held against what the model takes', () => {
  const none = { prompt: '', negativePrompt: '' }
  const of = (name: keyof typeof conditionings) => ({ [name]: every[name as keyof typeof every] }) as ConditioningConfig
  checkRequest(of('class'), { ...none, class: 'a' })
  assert.throws(
    () => checkRequest(of('class'), { ...none, boxes: [] }),
    /"boxes" is not for this model, which takes a class/,
  )
  assert.throws(() => checkRequest(of('class'), { ...none, prompt: 'a cat' }), /takes a class and no text/)
  assert.throws(() => checkRequest(undefined, { ...none, class: 'a' }), /which takes no condition/)
})

test('what can be left out is, the rest stays', async () => {
  const reader = openReaders({ class: every.class!, low_resolution: every.low_resolution! }, {})
  assert.ok(reader.guides)
  const record = {
    picture: { label: 'b' },
    random: torchGenerator(1),
    pixels: async () => new Float32Array(3 * 256),
  } as never
  const kept = await reader.ofRecord(record, place, true)
  assert.deepEqual(kept.labels, [2])
  assert.equal(kept.small!.length, 48)
  assert.ok(!openReaders({ low_resolution: every.low_resolution! }, {}).guides)
  const specs = inputsOf({ class: every.class! }, place)
  assert.deepEqual(stack(specs, [{ labels: [1] }, { labels: [2] }]).labels!.shape, [2])
  assert.throws(() => stack(specs, [{}]), /"labels" has no numbers, wanted 1/)
})

test('neighbours are the nearest of all by their angle, without the picture itself', () => {
  const random = torchGenerator(2)
  const [count, width] = [50, 8]
  const data = random.randn(count * width)
  const row = (i: number) => data.subarray(i * width, (i + 1) * width)
  const cosine = (a: Float32Array, b: Float32Array) =>
    a.reduce((sum, value, i) => sum + value * b[i]!, 0) / Math.hypot(...a) / Math.hypot(...b)
  const found = nearest({ index: { data, width }, query: row(7), except: 7 }, 3, random)
  const order = Array.from({ length: count }, (_, i) => i)
    .filter(i => i !== 7)
    .sort((a, b) => cosine(row(b), row(7)) - cosine(row(a), row(7)))
  for (const [k, i] of order.slice(0, 3).entries()) {
    const one = found.subarray(k * width, (k + 1) * width)
    assert.ok(Math.abs(Math.hypot(...one) - 1) < 1e-6)
    assert.ok(cosine(one, row(i)) > 1 - 1e-6)
  }
  const few = nearest({ index: { data, width, rows: [3] }, query: row(3), except: 3 }, 2, random)
  assert.deepEqual(few.subarray(0, width), few.subarray(width))
  const drawn = nearest({ index: { data, width } }, 1, torchGenerator(5))
  assert.ok(Array.from({ length: count }, (_, i) => cosine(drawn, row(i))).some(value => value > 1 - 1e-6))
  assert.throws(() => nearest({ index: { data: new Float32Array(0), width } }, 1, random), /the index is empty/)
})
