import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withWords } from './added-words.js'
import { bpeTokenizer, learnBpe } from './bpe.js'

const plain = bpeTokenizer(learnBpe(['red heart', 'red car', 'blue heart'], 264))
const words = withWords(
  plain,
  new Map([
    ['<s>', 1],
    ['my-cat', 2],
    ['<s>2', 1],
  ]),
)

test('new words are their ids, the text around them as before', () => {
  const n = plain.size
  assert.equal(words.size, n + 4)
  assert.deepEqual(words.tokens('red <s> car'), [...plain.tokens('red '), n, ...plain.tokens(' car')])
  assert.deepEqual(words.tokens('a My-Cat, a concat my-cats'), [
    ...plain.tokens('a '),
    n + 1,
    n + 2,
    ...plain.tokens(', a concat my-cats'),
  ])
  assert.deepEqual(words.tokens('<s>2'), [n + 3], 'the longest word that fits')
  assert.deepEqual(words.tokens('red heart'), plain.tokens('red heart'))
})

test('encoding frames and pads as the vocabulary does, decoding says the words', () => {
  const { ids, truncated } = words.encode('my-cat red heart', 6)
  const { ids: frame } = plain.encode('', 3)
  assert.deepEqual([...ids.slice(0, 3), ids[5]], [frame[0], plain.size + 1, plain.size + 2, frame[1]])
  assert.equal(truncated, 2 + plain.tokens('red heart').length - 4)
  assert.equal(words.decode(words.tokens('red my-cat heart')), 'red my-cat heart')
  assert.deepEqual([...words.encode('red', 8).ids], [...plain.encode('red', 8).ids])
})

test('words that are none are refused', () => {
  assert.throws(() => withWords(plain, new Map([[' ', 1]])), RangeError)
  assert.throws(
    () =>
      withWords(
        plain,
        new Map([
          ['A', 1],
          ['a', 1],
        ]),
      ),
    /be there once, found "a"/,
  )
})
