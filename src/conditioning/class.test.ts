import assert from 'node:assert/strict'
import { test } from 'node:test'
import { classes } from './class.js'

const dataset = (labels: (string | undefined)[], names = ['cat', 'dog']) =>
  ({ folder: 'pets', labels: names, pictures: labels.map((label, i) => ({ file: `${i}.png`, label })) }) as never
const recipe = (more: object = {}) => classes.recipe.parse({ embed_dim: 8, ...more })
const learn = (labels: (string | undefined)[], more: object = {}, train = labels.map((_, i) => i)) =>
  classes.learn(recipe(more), { dataset: dataset(labels), train }).config

test('the classes are those of the data, with one more for none', () => {
  assert.deepEqual(learn(['cat', 'dog']), {
    into: 'crossattn',
    embed_dim: 8,
    names: ['cat', 'dog'],
    n_classes: 3,
  })
  const reader = classes.reader(learn(['cat', 'dog']))
  assert.deepEqual(reader.none!(), { labels: [2] })
  assert.equal(classes.reader(learn(['cat', 'dog'], { n_classes: 2 })).none, undefined)
  assert.deepEqual(classes.reach({ into: 'adm', n_classes: 3 }), { y: 3 })
})

test('classes that cannot be trained are told', () => {
  assert.throws(() => learn(['cat', 'cat']), /no picture to train on for the class dog/)
  assert.throws(() => learn(['cat', 'dog'], {}, [0]), /no picture to train on for the class dog/)
  assert.throws(() => learn(['cat', undefined, 'dog']), /1 of 3 pictures have no class, 1\.png the first/)
  assert.throws(() => learn(['cat', 'dog'], { names: ['cat'] }), /1\.png is of class dog; the model has cat/)
  assert.throws(() => learn(['cat', 'dog'], { n_classes: 1 }), /data have 2 classes, n_classes is 1/)
  assert.throws(() => classes.recipe.parse({}), /a token for cross-attention needs its width/)
})

test('a request names a class or gives its number', () => {
  const reader = classes.reader(learn(['cat', 'dog']))
  const ask = (wanted?: string | number) =>
    reader.ofRequest({ class: wanted, prompt: '', negativePrompt: '' }).positive.labels
  assert.deepEqual([ask('dog'), ask(1), ask('1'), ask('cat')], [[1], [1], [1], [0]])
  assert.throws(() => ask(), /this model paints classes; wanted is class, one of 2: cat, dog/)
  assert.throws(() => ask('dgo'), /no class "dgo".*did you mean "dog"/)
  assert.throws(() => ask(2), /no class "2"; wanted one of 2/)
  const numbered = classes.reader({ into: 'crossattn', embed_dim: 8, n_classes: 1000 })
  assert.throws(
    () => numbered.ofRequest({ class: 1000, prompt: '', negativePrompt: '' }),
    /wanted a number from 0 to 999/,
  )
})
