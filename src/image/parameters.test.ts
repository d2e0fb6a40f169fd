import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { formatParameters, type Parameters, parseParameters } from './parameters.js'

test("A1111's text is written in its order and form", () => {
  const text = formatParameters({
    prompt: 'a cat,\n"sitting"',
    negativePrompt: 'blurry',
    steps: 20,
    sampler: 'DPM++ 2M',
    scheduleType: 'Karras',
    cfgScale: 7,
    seed: 1,
    width: 512,
    height: 768,
    modelHash: '6ce0161689',
    model: 'v1-5, pruned',
    version: 'v1.10',
    extra: { 'Denoising strength': '0.7' },
  })
  assert.equal(
    text,
    'a cat,\n"sitting"\nNegative prompt: blurry\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, ' +
      'Seed: 1, Size: 512x768, Model hash: 6ce0161689, Model: "v1-5, pruned", Denoising strength: 0.7, Version: v1.10',
  )
})

test("a file of A1111's own is read, odd settings too", () => {
  const parsed = parseParameters(
    'sky, <lora:x:1>\nsecond line\nNegative prompt: low\nquality\nSteps: 30, Sampler: Euler a, CFG scale: 7.5, Seed: 42, ' +
      'Size: 640x512, Model: deliberate, Lora hashes: "x: 0123, y: 4567", Tiling, Hashes: {"vae": "73", "model": "9"}',
  )
  assert.deepEqual(parsed, {
    prompt: 'sky, <lora:x:1>\nsecond line',
    negativePrompt: 'low\nquality',
    steps: 30,
    sampler: 'Euler a',
    cfgScale: 7.5,
    seed: 42,
    width: 640,
    height: 512,
    model: 'deliberate',
    extra: { 'Lora hashes': 'x: 0123, y: 4567', Hashes: '{"vae": "73"' },
  })
})

test('text without settings is all prompt', () => {
  assert.deepEqual(parseParameters('a: b, just a prompt'), { prompt: 'a: b, just a prompt' })
  assert.deepEqual(parseParameters(''), { prompt: '' })
})

test('hostile text neither hangs nor reaches a prototype', () => {
  const parsed = parseParameters('p\nSteps: 1e999, __proto__: x, Size: 9999999999x1, Seed: NaN')
  assert.deepEqual(Object.entries(parsed.extra!), [
    ['Steps', '1e999'],
    ['__proto__', 'x'],
    ['Size', '9999999999x1'],
    ['Seed', 'NaN'],
  ])
  const start = performance.now()
  for (const piece of ['a', ' ', ',', 'a:', 'a: "', '\\"', 'Negative prompt:']) parseParameters(piece.repeat(1_000_000))
  assert.ok(performance.now() - start < 5_000)
})

test('any prompt and settings come back as they were', () => {
  const line = fc.string({ unit: fc.constantFrom(...'ab ,:"\\\n\r猫é😀{}()<>'), maxLength: 30 })
  const free = fc.oneof(line, fc.string({ unit: 'grapheme' }))
  const prompt = free.filter(text => !/^Negative prompt:/m.test(text))
  const value = free
  const whole = fc.nat({ max: Number.MAX_SAFE_INTEGER })
  const arbitrary = fc.record(
    {
      prompt,
      steps: whole,
      sampler: value,
      cfgScale: fc.double({ noNaN: true, noDefaultInfinity: true }).filter(x => !Object.is(x, -0)),
      seed: whole,
      negativePrompt: free.filter(text => text !== ''),
      scheduleType: value,
      modelHash: value,
      model: value,
      version: value,
      extra: fc.dictionary(fc.constantFrom('Denoising strength', 'Clip skip', 'VAE/x'), value, { minKeys: 1 }),
    },
    { requiredKeys: ['prompt', 'steps', 'sampler', 'cfgScale', 'seed'] },
  )
  fc.assert(
    fc.property(arbitrary, parameters => {
      const expected = JSON.parse(JSON.stringify(parameters)) as Parameters
      assert.deepEqual(
        JSON.parse(JSON.stringify(parseParameters(formatParameters(parameters as Parameters)))),
        expected,
      )
    }),
  )
})
