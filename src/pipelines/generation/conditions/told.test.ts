import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Asked, openReaders } from '../../../conditioning/index.js'
import { torchGenerator } from '../../../random/index.js'
import { type HostTensors, hostTensor } from '../../../runtime/index.js'
import { tinyConfig } from '../../../testing/tiny-model.js'
import { learnBpe, vocabularySize } from '../../../text/index.js'
import { gathered } from '../network/rows.js'
import type { Stage } from '../stage.js'
import { tell } from './told.js'

const vocabulary = learnBpe(['a b c d'], 260)
const own = tinyConfig().conditioning!.text!
const text = { ...own, n_embed: 2, max_seq_len: 4, vocab_size: vocabularySize(vocabulary) }
const classes = { into: 'crossattn' as const, embed_dim: 2, n_classes: 3, names: ['x', 'y'] }

/** A stage whose encoder makes of a token the vector [id, 1], and of a class [-class, -1]; it counts the rows that it is given. */
function stageOf(conditioning: object, { chunks = 1, guidance = 3 } = {}) {
  const given: number[] = []
  const embed = async (inputs: HostTensors) => {
    const numbers = (name: string) => Array.from((inputs[name]?.data ?? []) as ArrayLike<bigint>, Number)
    const rows = inputs.tokens!.shape[0]!
    given.push(rows)
    const tokens = numbers('tokens')
    const labels = numbers('labels')
    const data = Array.from({ length: rows }, (_, row) => [
      ...tokens.slice(row * 4, row * 4 + 4).flatMap(id => [id, 1]),
      ...(labels.length > 0 ? [-labels[row]!, -1] : []),
    ])
    const others = labels.length > 0 ? 1 : 0
    return {
      context: hostTensor(data.flat(), [rows, 4 + others, 2]),
      y: hostTensor(numbers('tokens').filter((_, i) => i % 4 === 1)),
    }
  }
  const parts = { variant: { chunks }, get: async () => embed }
  const plan = { guidance, width: 16, height: 16 }
  const stage = { plan, parts, model: { config: { ...tinyConfig(), conditioning } } } as unknown as Stage
  const readers = openReaders(conditioning as never, { vocabulary: JSON.stringify(vocabulary) })
  const place = { width: 16, height: 16, latents: [4, 8, 8] } as const
  const ask = (prompt: string, more: object = {}): Asked =>
    readers.ofRequest({ prompt, negativePrompt: '', promptStyle: 'a1111', calls: 4, ...more }, place, torchGenerator(0))
  return { stage, ask, given }
}

const [a, b, c, none] = ['a', 'b', 'c', ''].map(letter => {
  const { positive } = stageOf({ text }).ask(letter)
  return Array.from(positive.tokens!).flatMap(id => [id, 1])
}) as [number[], number[], number[], number[]]
const rowsOf = ({ context }: HostTensors) =>
  Array.from({ length: context!.shape[0]! }, (_, i) => Array.from(gathered([context!], [i]).data as Float32Array))

test('phrases of all pictures, then what is led away from; the same row is embedded once', async () => {
  const { stage, ask, given } = stageOf({ text })
  const told = (await tell(stage, [ask('a AND b :0.5'), ask('a AND b :0.5')]))(0)
  assert.deepEqual(rowsOf(told.inputs), [a, a, b, b, none, none])
  assert.deepEqual(told.inputs.y!.data, Float32Array.from([a, a, b, b, none, none].map(row => row[2]!)))
  assert.deepEqual([told.weights, told.negative, given], [[1, 0.5], true, [3]])
  const alone = stageOf({ text }, { guidance: 1 })
  const plain = (await tell(alone.stage, [alone.ask('a')]))(0)
  assert.deepEqual([rowsOf(plain.inputs), plain.negative, alone.given], [[a], false, [1]])
})

test('what is told stays the same object until a stage ends', async () => {
  const { stage, ask } = stageOf({ text })
  const at = await tell(stage, [ask('[a:b:2]')])
  assert.deepEqual(rowsOf(at(0).inputs), [a, none])
  assert.equal(at(1), at(2))
  assert.deepEqual(rowsOf(at(3).inputs), [b, none])
})

test('contexts of different length: phrases by their last vector, both sides by saying them over', async () => {
  const { stage, ask } = stageOf({ text }, { chunks: 6 })
  const told = (await tell(stage, [ask('a BREAK b AND c', { negativePrompt: 'c BREAK b BREAK a' })]))(0)
  const ab = [...a, ...b]
  const long = [...c, ...Array.from({ length: 4 }, () => c.slice(-2)).flat()]
  const cba = [...c, ...b, ...a]
  assert.deepEqual(rowsOf(told.inputs), [
    [...ab, ...ab, ...ab],
    [...long, ...long, ...long],
    [...cba, ...cba],
  ])
})

test('tokens of other conditions come once, after the text, which nothing fills up', async () => {
  const { stage, ask, given } = stageOf({ text, class: classes }, { chunks: 2 })
  const told = (await tell(stage, [ask('a BREAK b', { class: 1 })]))(0)
  assert.deepEqual(rowsOf(told.inputs), [
    [...a, ...b, -1, -1],
    [...none, ...none, -2, -1],
  ])
  assert.ok(given.reduce((sum, rows) => sum + rows) <= 4)
})

test('weights are of the vectors, as the style has them', async () => {
  const { stage, ask } = stageOf({ text })
  // A letter is two tokens: itself and the end of a word.
  const [a1111] = rowsOf((await tell(stage, [ask('(a:2)')]))(0).inputs)
  const weighed = a.map((value, i) => (i >= 2 && i < 6 ? 2 * value : value))
  const sum = (values: number[]) => values.reduce((x, y) => x + y)
  const back = sum(a) / sum(weighed)
  for (const [i, value] of weighed.entries()) assert.ok(Math.abs(a1111![i]! - value * back) < 1e-4)
  const [comfyui] = rowsOf((await tell(stage, [ask('(a:2)', { promptStyle: 'comfyui' })]))(0).inputs)
  assert.deepEqual(
    comfyui,
    a.map((value, i) => (i >= 2 && i < 6 ? 2 * (value - none[i]!) + none[i]! : value)),
  )
})
