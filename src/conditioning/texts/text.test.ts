import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { text } from './text.js'

const words = await readFile(
  new URL('../../../fixtures/conformance/text/bert_vocabulary/vocab.txt', import.meta.url),
  'utf8',
)
const stored = { vocabulary: JSON.stringify({ kind: 'bert', words }) }
const config = { n_embed: 8, n_layer: 1, vocab_size: 30522, max_seq_len: 8, heads: 1, dim_head: 8 }

test("the text-to-image LDM reads its words by BERT's vocabulary", () => {
  const reader = text.reader(config, stored)
  const { positive, negative } = reader.ofRequest({ prompt: 'a photo of a cat', negativePrompt: '' })
  assert.deepEqual(Array.from(positive.tokens!), [101, 1037, 6302, 1997, 1037, 4937, 102, 0])
  assert.deepEqual(Array.from(negative.tokens!), [101, 102, 0, 0, 0, 0, 0, 0])
  assert.throws(
    () => text.reader({ ...config, vocab_size: 9 }, stored),
    /vocabulary of 30522 tokens and a text encoder of 9/,
  )
})

test('training on goes on with the vocabulary of the checkpoint', () => {
  const recipe = text.recipe.parse({ n_embed: 8, n_layer: 1 })
  const learned = text.learn(recipe, { dataset: {} as never, train: [], before: { config, stored } })
  assert.deepEqual([learned.config.vocab_size, learned.vocabulary], [30522, stored.vocabulary])
})
