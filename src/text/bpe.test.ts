import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bpeTokenizer, learnBpe, vocabularySchema, vocabularySize } from './bpe.js'
import { mergePairs, pairKey } from './pairs.js'

const captions = [
  'red heart, noto emoji',
  'Red Heart, twemoji emoji',
  'crying face, noto emoji',
  "a cat's face",
  '红心，表情符号',
  'emoji 😀 of a grinning face',
]

/** Byte-pair encoding as the paper's algorithm 1 has it: count all pairs, merge the best everywhere, again. */
function slowly(words: Map<string, number>, merges: number): [number, number][] {
  const split = [...words].map(([word, count]) => ({
    count,
    symbols: [...Array.from(new TextEncoder().encode(word), byte => byte + 3), 259],
  }))
  const learned: [number, number][] = []
  while (learned.length < merges) {
    const counts = new Map<number, number>()
    for (const { symbols, count } of split)
      for (let i = 1; i < symbols.length; i++) {
        const key = pairKey(symbols[i - 1]!, symbols[i]!)
        counts.set(key, (counts.get(key) ?? 0) + count)
      }
    const [best] = [...counts].sort(([a, m], [b, n]) => n - m || a - b)
    if (best === undefined || best[1] < 2) break
    const pair: [number, number] = [Math.floor(best[0] / 2 ** 20), best[0] % 2 ** 20]
    for (const word of split) {
      const merged: number[] = []
      for (let i = 0; i < word.symbols.length; i++) {
        const hit = word.symbols[i] === pair[0] && word.symbols[i + 1] === pair[1]
        merged.push(hit ? 260 + learned.length : word.symbols[i]!)
        if (hit) i++
      }
      word.symbols = merged
    }
    learned.push(pair)
  }
  return learned
}

test('learns what the plain algorithm learns', () => {
  const word = fc.stringMatching(/^[abc]{1,8}$/)
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 40 }), words => {
      const counts = new Map<string, number>()
      for (const w of words) counts.set(w, (counts.get(w) ?? 0) + 1)
      assert.deepEqual(learnBpe([words.join(' ')], 290).merges, slowly(counts, 30))
    }),
  )
})

test('the order of the captions does not matter, nor does case', () => {
  const vocabulary = learnBpe(captions, 280)
  assert.deepEqual(learnBpe([...captions].reverse(), 280), vocabulary)
  assert.deepEqual(
    learnBpe(
      captions.map(caption => caption.toUpperCase()),
      280,
    ),
    vocabulary,
  )
  assert.equal(vocabularySize(vocabulary), 280)
  assert.deepEqual(vocabularySchema.parse(JSON.parse(JSON.stringify(vocabulary))), vocabulary)
})

test('encodes start, tokens, end and padding, and says what did not fit', () => {
  const tokenizer = bpeTokenizer(learnBpe(captions, 400))
  const tokens = tokenizer.tokens('Red heart')
  assert.ok(tokens.length < 10 && tokens.length >= 2)
  const { ids, used, truncated } = tokenizer.encode('Red heart', 24)
  assert.deepEqual([...ids], [1, ...tokens, 2, ...Array(22 - tokens.length).fill(0)])
  assert.deepEqual([used, truncated], [tokens.length + 2, 0])
  const cut = tokenizer.encode('red heart '.repeat(30), 8)
  assert.deepEqual([cut.ids.length, cut.ids[7], cut.used, cut.truncated], [8, 2, 8, 30 * tokens.length - 6])
  assert.deepEqual([...tokenizer.encode('', 4).ids], [1, 2, 0, 0])
  assert.throws(() => tokenizer.encode('a', 1), RangeError)
})

test('any text has tokens below the size, and they say the text', () => {
  const tokenizer = bpeTokenizer(learnBpe(captions, 320))
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), text => {
      const tokens = tokenizer.tokens(text)
      assert.ok(tokens.every(id => id > 2 && id < tokenizer.size))
      const plain = (s: string) => s.normalize('NFKC').toLowerCase().replace(/[‘’]/g, "'").replace(/\s/g, '')
      assert.equal(plain(tokenizer.decode(tokens)), plain(text))
    }),
  )
  assert.equal(tokenizer.decode(tokenizer.encode('Ｒed 红 👨‍👩‍👧', 64).ids), 'red 红 👨‍👩‍👧')
})

test('a word as long as a book, and a vocabulary that doubles without end, take little time', () => {
  const tokenizer = bpeTokenizer(learnBpe(captions, 320))
  assert.ok(tokenizer.tokens('heart'.repeat(50_000)).length > 1000)
  const doubling = {
    kind: 'bpe' as const,
    merges: Array.from({ length: 60 }, (_, i) => [i ? 259 + i : 100, i ? 259 + i : 100] as [number, number]),
  }
  assert.ok(bpeTokenizer(vocabularySchema.parse(doubling)).decode([319]).length <= 2 ** 16)
})

test('refuses sizes and merges that make no vocabulary', () => {
  assert.throws(() => learnBpe(captions, 259), /found a size of 259, wanted 260 to/)
  assert.equal(vocabularySchema.safeParse({ kind: 'bpe', merges: [[100, 260]] }).success, false)
  assert.equal(vocabularySchema.safeParse({ kind: 'bpe', merges: [[100, 2]] }).success, false)
})

test('merges overlapping pairs from the left', () => {
  assert.deepEqual(mergePairs([1, 1, 1, 1, 1], new Map([[pairKey(1, 1), 2]])), [2, 2, 1])
  assert.deepEqual(mergePairs([], new Map()), [])
})
