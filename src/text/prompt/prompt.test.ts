import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LatentkitError } from '../../platform/errors.js'
import { bpeTokenizer, learnBpe } from '../bpe.js'
import { lexiconOf } from './chunk.js'
import { promptStages, stageAt } from './edits.js'
import { restoringMean } from './emphasis.js'
import { namedNetworks, withoutNetworks } from './networks.js'
import { type ReadOptions, readPrompt } from './read.js'
import { type PromptStyleName, promptStyles } from './styles.js'

const tokenizer = bpeTokenizer(learnBpe(['red heart', 'red car', 'blue heart'], 270))
const lexicon = lexiconOf(tokenizer, 12, new Map([['<cat>', 3]]))
const names = Object.keys(promptStyles) as PromptStyleName[]
const options = (style: PromptStyleName, more: Partial<ReadOptions> = {}): ReadOptions => ({
  style: promptStyles[style],
  lexicons: [lexicon],
  steps: 6,
  ...more,
})

const marks = [
  '(',
  ')',
  '[',
  ']',
  ':',
  '|',
  '\\',
  ' AND ',
  ' BREAK ',
  ':1.2)',
  ':0.5]',
  ',',
  'embedding:',
  '<cat>',
  '\n',
]
const hostile = fc
  .array(fc.oneof(fc.constantFrom(...marks), fc.string({ unit: 'grapheme', maxLength: 6 })), { maxLength: 30 })
  .map(parts => parts.join(''))

test('any text is read, or refused with the place and what is wanted there', () => {
  fc.assert(
    fc.property(hostile, fc.constantFrom(...names), (prompt, style) => {
      try {
        const { phrases, leftOut } = readPrompt(prompt, options(style))
        assert.ok(phrases.length > 0 && (style === 'plain' || leftOut === 0))
        for (const { weight, stages } of phrases) {
          assert.ok(Number.isFinite(weight) && stages.length > 0)
          assert.equal(new Set(stages.map(({ chunks }) => chunks.length)).size, 1)
          for (const [chunk] of stages.flatMap(({ chunks }) => chunks)) {
            assert.equal(chunk!.ids.length, 12)
            assert.ok(chunk!.weights.every(Number.isFinite))
            assert.ok(chunk!.ids.every(id => id >= 0 && id < tokenizer.size + 3))
          }
        }
      } catch (error) {
        assert.ok(error instanceof LatentkitError, String(error))
        assert.match(error.message, /^prompt: .*wanted/s)
      }
    }),
    { numRuns: 400 },
  )
})

test('text without marks keeps its tokens in every style, across chunks', () => {
  const word = fc.constantFrom('red', 'heart', 'blue', 'car', 'xylophone', 'ü', '日本', '❤️')
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), words => {
      const text = words.join(' ')
      const { start, end, pad } = tokenizer.marks
      for (const style of names) {
        const { phrases, leftOut } = readPrompt(text, options(style))
        assert.equal(phrases.length, 1)
        const ids = phrases[0]!.stages[0]!.chunks.flatMap(([chunk]) => [...chunk!.ids])
        const tokens = ids.filter(id => ![start, end, pad].includes(id))
        assert.deepEqual(tokens, tokenizer.tokens(text).slice(0, tokens.length))
        assert.equal(tokens.length + leftOut, tokenizer.tokens(text).length)
      }
    }),
    { numRuns: 60 },
  )
})

test('long and deeply nested prompts take no long time', () => {
  const n = 60_000
  const prompts = ['(', '[', '(a', '[a:', '[a|', '\\', ' ', 'AND ', ') ('].map(part =>
    part.repeat(Math.floor(n / part.length)),
  )
  prompts.push('['.repeat(n / 2) + ']'.repeat(n / 2), `${'[a:'.repeat(9000)}b${':3]'.repeat(9000)}`)
  const began = process.cpuUsage()
  for (const prompt of prompts) assert.equal(promptStages(prompt, { steps: 4 }).at(-1)!.until, 4)
  assert.ok(process.cpuUsage(began).user < 1e6)
  assert.throws(() => readPrompt('a'.repeat(70_000), options('a1111')), /found 70000 characters, wanted at most 65536/)
})

test('a stage holds one call of the network longer than its steps say, as in A1111', () => {
  const stages = promptStages('[a:b:2]', { steps: 4 })
  assert.deepEqual(
    [0, 1, 2, 3, 4].map(call => stages[stageAt(stages, call)]!.text),
    ['a', 'a', 'a', 'b', 'b'],
  )
  assert.equal(stageAt(stages, 5), 0)
})

test('stages of one phrase have as many chunks; what is led away from is one prompt', () => {
  const long = 'red car '.repeat(6)
  const count = Math.ceil(tokenizer.tokens(long).length / 10)
  assert.ok(count > 1)
  const { phrases } = readPrompt(`[red:${long}:0.5] :0.7 AND heart`, options('a1111'))
  assert.deepEqual(
    phrases.map(({ weight, stages }) => [weight, stages.map(({ chunks }) => chunks.length)]),
    [
      [0.7, [count, count]],
      [1, [1]],
    ],
  )
  assert.equal(readPrompt('red AND heart', options('a1111', { negative: true })).phrases.length, 1)
})

test('errors name the place in the prompt', () => {
  const refused = (style: PromptStyleName, prompt: string, message: RegExp) =>
    assert.throws(() => readPrompt(prompt, options(style)), message)
  refused(
    'a1111',
    'a [b:3] (cat:1.2.3)',
    /at character 13, .*the weight "1\.2\.3" is no number; wanted one such as 1\.2/,
  )
  refused('comfyui', 'a ((b:nan) c:2)', /at character 6, .*no finite number/)
  refused('comfyui', `${'('.repeat(600)}a${')'.repeat(600)}`, /nested more than 500 deep/)
  refused(
    'comfyui',
    'a embedding:<cta> b',
    /at character 3, .*"embedding:<cta>"; wanted a further word of the model: did you mean "<cat>"/,
  )
  const big = [lexiconOf(tokenizer, 12, new Map([['<cat>', 11]]))]
  assert.throws(() => readPrompt('a <cat>', options('a1111', { lexicons: big })), /11 vectors; wanted at most 10/)
})

test('LoRAs are taken out of a prompt, those of the model alone', () => {
  const has = ({ name, weight }: { name: string; weight: number }) => name === 'ink' && weight === 0.7
  assert.equal(withoutNetworks('a <lora:ink:0.7> cat, <my-cat>, <3', has), 'a  cat, <my-cat>, <3')
  const refused =
    /at character 3, .*found <lora:ink>; wanted a LoRA that was loaded with the model; load "ink" with it by weight 1 \(/
  assert.throws(() => withoutNetworks('a <lora:ink> cat', has), refused)
  for (const tag of [
    '<hypernet:ink:0.7>',
    '<lora:ink:0.7:0.5:3>',
    '<lora:ink:x>',
    '<lora:ink:0.7:te=1>',
    '<lora:ink:lbw=1,x>',
  ])
    assert.throws(() => withoutNetworks(tag, has), /wanted <lora:name:weight>/)
  assert.deepEqual(namedNetworks('<lora:ink:0.7> a <lyco:a/b> <lora:c:1:2> <x:y> <lora:d:unet=0.5:lbw=1,0,0.5>'), [
    { name: 'ink', weight: 0.7 },
    { name: 'a/b', weight: 1 },
    { name: 'c', weight: 2, textWeight: 1 },
    { name: 'd', weight: 0.5, textWeight: 1, blocks: [1, 0, 0.5] },
  ])
})

test('encoders beside one another keep each their own mean', () => {
  const given = { z: Float32Array.of(1, 2, 3, 4), weights: Float32Array.of(1, 3), width: 2 }
  const means = (z: Float32Array) => [z[0]! + z[2]!, z[1]! + z[3]!]
  for (const [i, mean] of means(restoringMean(given, [1, 1])).entries())
    assert.ok(Math.abs(mean - means(given.z)[i]!) < 1e-6)
})
