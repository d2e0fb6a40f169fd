import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { bertTokenizer } from './bert-tokenizer.js'
import { cleanText } from './clean-text.js'
import { vocabularyText } from './clip-files.js'
import { clipTokenizer } from './clip-tokenizer.js'

const fixture = (path: string) => readFile(new URL(`../../fixtures/conformance/text/${path}`, import.meta.url))

test('CLIP: openai and Hugging Face cleaning, both paddings', async () => {
  const merges = await vocabularyText(await fixture('clip_vocabulary/bpe_simple_vocab_16e6.txt.gz'), 'vocabulary')
  const openai = clipTokenizer({ merges })
  assert.equal(openai.size, 49408)
  assert.deepEqual([...openai.encode('a cat', 5).ids], [49406, 320, 2368, 49407, 49407])
  assert.deepEqual(
    [...clipTokenizer({ merges }, { padding: 'zero' }).encode('a cat', 5).ids],
    [49406, 320, 2368, 49407, 0],
  )
  assert.equal(openai.encode('word '.repeat(100), 77).truncated, 25)
  const { prompts } = JSON.parse((await fixture('clip_tokens/tokens.json')).toString())
  const huggingface = clipTokenizer({ merges }, { cleaning: 'huggingface' })
  for (const { prompt, ids, padded_with_end_of_text: padded, huggingface_ids: theirs } of prompts) {
    assert.deepEqual(openai.tokens(prompt), ids, prompt)
    assert.deepEqual([...huggingface.encode(prompt, 77).ids], theirs ?? padded, prompt)
  }
})

test('CLIP: ids come from vocab.json where there is one', () => {
  const merges = '#version\na t</w>\nc at</w>\n'
  const plain = clipTokenizer({ merges })
  assert.deepEqual([plain.size, ...plain.tokens('cat')], [516, 513])
  assert.equal(plain.decode([515, 513]), '<|endoftext|>cat ')
  assert.throws(
    () => clipTokenizer({ merges, vocabulary: '{"a": 1}' }),
    /"!", which the merges make, has no whole number/,
  )
  assert.throws(() => clipTokenizer({ merges, vocabulary: '[' }), /Cannot read the vocabulary vocab\.json/)
  assert.throws(() => clipTokenizer({ merges: 'x\na b c\n' }), /line 2 is "a b c", wanted two earlier symbols/)
  assert.throws(() => clipTokenizer({ merges: '' }), /it holds no merge/)
})

test('CLIP: ids follow vocab.json, not the order of the merges', async () => {
  const merges = await vocabularyText(await fixture('clip_vocabulary/bpe_simple_vocab_16e6.txt.gz'), 'vocabulary')
  const names = readNames(merges)
  const vocabulary = JSON.stringify(Object.fromEntries(names.map((name, i) => [name, names.length - 1 - i])))
  const [forth, back] = [clipTokenizer({ merges }), clipTokenizer({ merges, vocabulary })]
  assert.deepEqual(
    back.tokens('a café'),
    forth.tokens('a café').map(id => names.length - 1 - id),
  )
})

/** The names of openai's ids in their order, as the case of the vocabulary describes them. */
function readNames(merges: string): string[] {
  const written = [...merges.split('\n').slice(1, 48895)].map(line => line.replace(' ', ''))
  const printable = Array.from({ length: 256 }, (_, b) => b).filter(b => (b > 32 && b < 127) || (b > 160 && b !== 173))
  const bytes = [...printable, ...Array.from({ length: 68 }, (_, i) => 256 + i)].map(code => String.fromCharCode(code))
  return [...bytes, ...bytes.map(byte => `${byte}</w>`), ...written, '<|startoftext|>', '<|endoftext|>']
}

test('BERT word pieces', async () => {
  const vocabulary = (await fixture('bert_vocabulary/vocab.txt')).toString()
  const tokenizer = bertTokenizer(vocabulary)
  const { prompts } = JSON.parse((await fixture('bert_tokens/tokens.json')).toString())
  for (const { prompt, ids77 } of prompts) assert.deepEqual([...tokenizer.encode(prompt, 77).ids], ids77, prompt)
  assert.equal(tokenizer.size, 30522)
  assert.deepEqual(tokenizer.tokens('a [MASK] b'), [1037, 103, 1038])
  assert.deepEqual(tokenizer.tokens('x'.repeat(101)), [100])
  assert.equal(tokenizer.decode(tokenizer.encode('unbelievable Café', 16).ids), 'unbelievable cafe')
  assert.throws(() => bertTokenizer('a\nb\n'), /no line is \[PAD\]/)
})

test('texts of many scripts have the ids that the reference code gives them', async () => {
  const merges = await vocabularyText(await fixture('clip_vocabulary/bpe_simple_vocab_16e6.txt.gz'), 'vocabulary')
  const tokenizers = {
    openai: clipTokenizer({ merges }),
    basic: clipTokenizer({ merges }, { cleaning: 'basic' }),
    bert: bertTokenizer((await fixture('bert_vocabulary/vocab.txt')).toString()),
  }
  const { texts } = JSON.parse(await readFile(new URL('../../fixtures/prompts/tokens.json', import.meta.url), 'utf8'))
  assert.ok(texts.length >= 40)
  for (const { text, ...ids } of texts)
    for (const name of ['openai', 'basic', 'bert'] as const)
      assert.deepEqual(tokenizers[name].tokens(text), ids[name], `${name}: ${text}`)
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.constantFrom(...Object.values(tokenizers)), (text, tokenizer) => {
      assert.ok(tokenizer.tokens(`${text}\ud800`).every(id => id >= 0 && id < tokenizer.size))
    }),
  )
})

test('repairs broken encodings and leaves what people write alone', () => {
  const repaired: Record<string, string> = {
    'schÃ¶n â€œquotedâ€\x9d &amp;amp; ﬁne': 'schön "quoted" & fine',
    'naÃ¯ve donâ€™t': "naïve don't",
    'Ð¿Ñ€Ð¸Ð²ÐµÑ‚': 'привет',
    'ã\x81\x93': 'こ',
    'ðŸ˜€': '😀',
    'Ã¢â‚¬â„¢': "'",
    '\u001b[1mbold\u001b[0m\0': 'bold',
    '&lt;b&gt; ＡＢＣ　ﬂ': '<b> ABC fl',
  }
  for (const [broken, whole] of Object.entries(repaired)) assert.equal(cleanText(broken), whole)
  for (const whole of ['fiancé…', 'BLÅ', 'São Paulo', 'À propos', 'Ünï¢ödé', 'Ã']) assert.equal(cleanText(whole), whole)
  assert.equal(cleanText('“fiancé…” “BLÅ”'), '"fiancé…" "BLÅ"')
})

test('a vocabulary file that is damaged or a bomb is refused', async () => {
  const packed = gzipSync('#version\na b\n')
  assert.equal(await vocabularyText(packed, 'v'), '#version\na b\n')
  assert.equal(await vocabularyText(Buffer.from('plain'), 'v'), 'plain')
  await assert.rejects(vocabularyText(packed.subarray(0, 15), 'v.gz'), /v\.gz: cannot be unpacked/)
  await assert.rejects(
    vocabularyText(gzipSync(Buffer.alloc(2 ** 25, 97)), 'v.gz'),
    /unpacks to more than 16777216 characters/,
  )
})
