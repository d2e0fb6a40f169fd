import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { z } from 'zod'
import { parseConfig } from './config.js'
import { SchemaError } from './validate.js'

const model = z.strictObject({ channels: z.int(), multipliers: z.array(z.int().min(1)).min(1) })
const loss = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('l2'), weight: z.number() }),
  z.strictObject({ kind: z.literal('perceptual'), layers: z.int() }),
])
const schema = z.strictObject({
  steps: z.int().min(1).default(20),
  seed: z.union([z.int(), z.literal('random')]).default('random'),
  model: model.optional(),
  loss: loss.optional(),
})

function problems(text: string) {
  try {
    parseConfig(text, schema, 'train.yaml')
  } catch (error) {
    assert.ok(error instanceof SchemaError)
    return error.message.split('\n')
  }
  return []
}

test('reads a config and fills in the defaults', () => {
  const text = 'model:\n  channels: 96\n  multipliers: [1, 2]\n'
  assert.deepEqual(parseConfig(text, schema, 'train.yaml'), {
    steps: 20,
    seed: 'random',
    model: { channels: 96, multipliers: [1, 2] },
  })
  assert.deepEqual(parseConfig('', schema, 'train.yaml'), { steps: 20, seed: 'random' })
})

test('names every problem with file, line, what was found and wanted', () => {
  const text = 'steps: many\nmodel:\n  chanels: 3\n  multipliers:\n    - 1\n    - 0\nsede: 7\n'
  assert.deepEqual(problems(text), [
    'train.yaml:1: steps: found "many", wanted a whole number of at least 1',
    'train.yaml:2: model.channels: missing; wanted a whole number',
    'train.yaml:3: model.chanels: unknown key; did you mean "channels"?',
    'train.yaml:6: model.multipliers[1]: found 0, wanted a whole number of at least 1',
    'train.yaml:7: sede: unknown key; did you mean "seed"?',
  ])
})

test('complains about the alternative that was meant', () => {
  assert.deepEqual(problems('loss: { kind: l2, layers: 3, weight: 1 }'), [
    'train.yaml:1: loss.layers: unknown key; known: kind, weight',
  ])
  assert.deepEqual(problems('loss: { kind: preceptual }'), [
    'train.yaml:1: loss.kind: found "preceptual", wanted "l2" or "perceptual"; did you mean "perceptual"?',
  ])
  assert.deepEqual(problems('seed: soon'), ['train.yaml:1: seed: found "soon", wanted a whole number or "random"'])
})

test('refuses what is not one small YAML mapping', () => {
  assert.match(problems('- 1')[0]!, /found a list of 1, wanted a mapping with steps, seed, model, loss/)
  assert.match(problems('steps: 1\nsteps: 2')[0]!, /train.yaml:2: not readable as YAML: Map keys must be unique/)
  assert.match(problems('steps: 1\n---\nsteps: 2')[0]!, /multiple documents/)
  assert.match(problems('steps: *nothing')[0]!, /Unresolved alias/)
  assert.match(problems('['.repeat(100_000))[0]!, /nested too deeply/)
  assert.match(problems('#'.repeat(300_000))[0]!, /found 300000 characters, wanted a config of at most 262144/)
  assert.match(problems('__proto__: { steps: 1 }')[0]!, /__proto__: unknown key/)
})

test('an alias bomb ends at once', () => {
  const layers = [...'bcdefgh'].map((name, i) => `${name}: &${name} [${`*${'abcdefg'[i]},`.repeat(9)}]`)
  assert.match(problems(['a: &a [x, x]', ...layers].join('\n'))[0]!, /resource exhaustion/)
})

test('any text gives a config or a SchemaError', () => {
  const yamlish = fc.array(
    fc.constantFrom('steps', ': ', '\n', '- ', '[', '{', '}', '&a ', '*a', '!!', '|', '"', '1', ' '),
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        yamlish.map(parts => parts.join('')),
      ),
      text => void problems(text),
    ),
  )
})
