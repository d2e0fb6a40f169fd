import assert from 'node:assert/strict'
import { test } from 'node:test'
import { torchGenerator } from '../random/index.js'
import type { TrainingRecord } from './contract.js'
import { layout, tokensOf } from './layout.js'

const config = layout.config.parse({ n_embed: 8, n_layer: 1, max_objects: 3, labels: ['cat', 'dog'] })
const whole = [0, 0, 1, 1] as const
const dog = { label: 'dog', box: [0.25, 0.5, 0.5, 0.25] as const }
const none = 8191

test('an object is its class and two corners on a grid of 90 by 90, which 8192 tokens number', () => {
  // 0.25 * 89 = 22.25, 0.5 * 89 = 44.5, which goes to the even 44, and 0.75 * 89 = 66.75.
  const corners = [44 * 90 + 22, 67 * 90 + 67]
  assert.deepEqual(tokensOf(config, [dog], whole), [1, ...corners, none, none, none, none, none, none, 0, 8099])
})

test('mirrored, boxes and the part that is seen change sides', () => {
  const left = { label: 'cat', box: [0, 0, 0.25, 1] as const }
  const seen = [0, 0, 0.5, 1] as const
  const tokens = tokensOf(config, [left], seen, true)
  assert.deepEqual(tokens.slice(0, 3), [0, 67, 89 * 90 + 89])
  assert.deepEqual(tokens.slice(-2), [44, 8099])
})

test('what is not seen is left out; without crop tokens boxes are of the part that is', () => {
  const right = [0.5, 0, 0.5, 1] as const
  const objects = [{ label: 'cat', box: [0, 0, 0.25, 1] as const }, dog]
  assert.equal(tokensOf(config, objects, right)[0], 1)
  const plain = { ...config, encode_crop: false }
  const tokens = tokensOf(plain, objects, right)
  assert.equal(tokens.length, 9)
  assert.deepEqual(tokens.slice(0, 3), [1, 44 * 90, 67 * 90 + 44])
})

test('records give as many objects as there is room for, in any order', async () => {
  const reader = layout.reader(config)
  const boxes = Array.from({ length: 5 }, (_, i) => ({ label: 'cat', box: [i / 10, 0, 0.1, 0.1] as const }))
  const record = (seed: number) =>
    ({
      picture: { boxes },
      mirrored: false,
      random: torchGenerator(seed),
      visible: async () => whole,
    }) as unknown as TrainingRecord
  const one = (await reader.ofRecord(record(1))).objects
  assert.ok(!one.slice(0, 9).includes(none))
  assert.notDeepEqual(one, (await reader.ofRecord(record(2))).objects)
  assert.deepEqual(one, (await reader.ofRecord(record(1))).objects)
})

test('what a request gets wrong is told', async () => {
  const { ofRequest } = layout.reader(config)
  const ask = (boxes: unknown) => () => ofRequest({ boxes, prompt: '', negativePrompt: '' })
  assert.throws(ask(undefined), /paints boxes of cat, dog; wanted is "boxes"/)
  assert.throws(ask([{ label: 'dgo', box: whole }]), /box 1 \(dgo.*no label "dgo"; did you mean "dog"/)
  assert.throws(ask([{ label: 'dog', box: [0.5, 0, 0.6, 1] }]), /box 1 .*reaches outside the picture/)
  assert.throws(ask([{ label: 'dog', box: [0.5, 0, 0, 1] }]), /is empty/)
  assert.throws(ask(new Array(4).fill(dog)), /found 4 boxes; this model takes at most 3/)
  const { read } = layout.request.boxes
  assert.deepEqual(await read('[{"label": "dog", "box": [0, 0, 1, 1]}]'), [{ label: 'dog', box: [0, 0, 1, 1] }])
  await assert.rejects(async () => read('[{"label": 1}]'), /--boxes: 0\.label: .*wanted \[\{"label"/)
  await assert.rejects(async () => read('[nonsense'), /--boxes is no JSON/)
})

test('the labels are those of the data, and others are refused', () => {
  const recipe = layout.recipe.parse({ n_embed: 8, n_layer: 1 })
  const dataset = (labels: string[]) =>
    ({
      folder: 'photos',
      pictures: labels.map((label, i) => ({ file: `${i}.jpg`, boxes: [{ label, box: whole }] })),
    }) as never
  const learned = layout.learn(recipe, { dataset: dataset(['dog', 'cat', 'dog']), train: [0, 1, 2] })
  assert.deepEqual(learned.config.labels, ['cat', 'dog'])
  const before = { config: learned.config, stored: {} }
  assert.throws(
    () => layout.learn(recipe, { dataset: dataset(['horse']), train: [0], before }),
    /photos.*"horse".*none of the model's labels/,
  )
  const bare = { folder: 'photos', pictures: [{ file: 'a.jpg' }] } as never
  assert.throws(() => layout.learn(recipe, { dataset: bare, train: [0] }), /says nowhere what is where/)
})
