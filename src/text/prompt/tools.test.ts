import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { LatentkitError } from '../../platform/errors.js'
import { framed, type Tokenizer } from '../tokenizer.js'
import { a1111Weights, type WeightedText } from './attention.js'
import { lexiconOf } from './chunk.js'
import { comfyuiWeights } from './comfyui-weights.js'
import { promptPhrases } from './composition.js'
import { promptStages } from './edits.js'
import { promptStyles } from './styles.js'

const { parsed, chunks, emphasis } = JSON.parse(
  await readFile(new URL('../../../fixtures/prompts/tools.json', import.meta.url), 'utf8'),
)

test("prompts are taken apart as the tools' own parsers do", () => {
  const pairs = (pieces: readonly WeightedText[]) => pieces.map(({ text, weight }) => [text, weight])
  const weights = (read: (prompt: string) => readonly WeightedText[], prompt: string) => {
    try {
      return pairs(read(prompt))
    } catch (error) {
      assert.ok(error instanceof LatentkitError, String(error))
      return null
    }
  }
  const stages = (...given: Parameters<typeof promptStages>) =>
    promptStages(...given).map(({ until, text }) => [until, text])
  assert.ok(parsed.length > 200)
  for (const { prompt, ...wanted } of parsed) {
    const found = {
      stages: stages(prompt, { steps: 7 }),
      second: stages(prompt, { steps: 5, firstPass: 7 }),
      phrases: pairs(promptPhrases(prompt)),
      a1111: weights(a1111Weights, prompt),
      comfyui: weights(comfyuiWeights, prompt),
    }
    assert.deepEqual(found, wanted, JSON.stringify(prompt))
  }
})

/** The stand-in of the tables: words in pieces of four letters, a comma as CLIP's. */
function standIn(pad: number): Tokenizer {
  const marks = { start: 49406, end: 49407, pad }
  const tokens = (text: string) =>
    (text.toLowerCase().match(/[a-z0-9]+|[^a-z0-9\s]/g) ?? []).flatMap(word =>
      word === ','
        ? [267]
        : (word.match(/.{1,4}/g) ?? []).map(
            piece => 1000 + [...piece].reduce((hash, char) => (hash * 31 + char.charCodeAt(0)) % 40000, 0),
          ),
    )
  return { size: 50000, marks, tokens, encode: (text, n) => framed(tokens(text), n, marks), decode: () => '' }
}

test("prompts are cut into chunks as the tools' own code does", () => {
  const words = new Map(Object.entries({ style: 2, 'big cat': 12, Wide: 30 }))
  assert.ok(chunks.length > 80)
  for (const { style, pad, prompt, chunks: wanted } of chunks) {
    const lexicon = lexiconOf(standIn(pad), 77, words)
    const found = promptStyles[style as 'a1111' | 'comfyui'].chunks(prompt, lexicon).chunks
    const expected = wanted.map(({ ids, weights }: { ids: number[]; weights: [number, number][] }) => ({
      ids: Int32Array.from(ids),
      weights: Float32Array.from(weights.flatMap(([weight, count]) => new Array<number>(count).fill(weight))),
    }))
    assert.deepEqual(found, expected, `${style}, padded with ${pad}: ${prompt}`)
  }
})

test('tokens are weighed as the tools do', () => {
  assert.ok(emphasis.length > 2)
  for (const { z, weights, empty, ...wanted } of emphasis) {
    const given = { z: Float32Array.from(z), weights: Float32Array.from(weights), width: 4 }
    for (const style of ['a1111', 'comfyui'] as const) {
      const found = promptStyles[style].weigh(given, { widths: [4], empty: Float32Array.from(empty) })
      for (const [i, value] of wanted[style].entries()) assert.ok(Math.abs(found[i]! - value) < 1e-5, `${style} ${i}`)
    }
  }
})
