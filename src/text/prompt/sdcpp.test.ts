import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { LatentkitError } from '../../platform/errors.js'
import { clipTokenizer, vocabularyText } from '../index.js'
import { lexiconOf } from './chunk.js'
import { sdcppWeights } from './sdcpp-weights.js'
import { type PromptStyle, promptStyles } from './styles.js'

const { parsed, chunks, emphasis } = JSON.parse(
  await readFile(new URL('../../../fixtures/prompts/sdcpp.json', import.meta.url), 'utf8'),
)
const file = new URL('../../../models/clip-merges.txt.gz', import.meta.url)
const merges = await vocabularyText(await readFile(file), 'clip-merges.txt.gz')
const style: PromptStyle = promptStyles.sdcpp

test("prompts are taken apart as by stable-diffusion.cpp's own parser", () => {
  assert.ok(parsed.length > 250)
  for (const { prompt, pieces } of parsed) {
    if (pieces === null) assert.throws(() => sdcppWeights(prompt), LatentkitError, prompt)
    else {
      const wanted = pieces.map(([text, weight]: [string, number]) => ({ text, weight: Math.fround(weight) }))
      assert.deepEqual(sdcppWeights(prompt), wanted, JSON.stringify(prompt))
    }
  }
})

test("prompts have the tokens and chunks of stable-diffusion.cpp's own tokenizer", () => {
  const further = new Map([
    ['big cat', 12],
    ['style', 2],
    ['wi', 1],
    ['wide', 30],
  ])
  const lexicon = (padding: 'end' | 'zero', words?: Map<string, number>) =>
    lexiconOf(clipTokenizer({ merges }, { padding, cleaning: 'ascii' }), 77, words)
  const lexicons = { sd1: lexicon('end'), sd2: lexicon('zero'), sdxl: lexicon('end'), words: lexicon('end', further) }
  const bigG = lexicon('zero')
  assert.ok(chunks.length > 50)
  for (const { version, prompt, words, chunks: wanted } of chunks) {
    const used = lexicons[words ? 'words' : (version as keyof typeof lexicons)]
    const expected = wanted.map(({ ids, weights }: { ids: number[]; weights: [number, number][] }) => ({
      ids: Int32Array.from({ length: 77 }, (_, i) => ids[i] ?? used.tokenizer.marks.pad),
      weights: Float32Array.from(weights.flatMap(([weight, count]) => new Array<number>(count).fill(weight))),
    }))
    assert.deepEqual(style.chunks(prompt, used, 0).chunks, expected, `${version}: ${prompt}`)
    if (version === 'sdxl') {
      const second = expected.map(({ ids, weights }: { ids: Int32Array; weights: Float32Array }) => ({
        ids: ids.map((id, i) => (i > ids.indexOf(49407) ? 0 : id)),
        weights,
      }))
      assert.deepEqual(style.chunks(prompt, bigG, 1).chunks, second, `${version}, second encoder: ${prompt}`)
    }
  }
})

test('tokens are weighed as by stable-diffusion.cpp, all encoders of a chunk together', () => {
  assert.ok(emphasis.length > 4)
  for (const { z, weights, sdcpp } of emphasis) {
    const given = { z: Float32Array.from(z), weights: Float32Array.from(weights), width: z.length / weights.length }
    const found = style.weigh(given, { widths: [1, given.width - 1], empty: new Float32Array(0) })
    for (const [i, value] of sdcpp.entries()) assert.ok(Math.abs(found[i]! - value) < 1e-6, `${i}`)
  }
})
