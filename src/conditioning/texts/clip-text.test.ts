import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { evaluate } from '../../tensor/evaluate.js'
import { type Program, trace } from '../../tensor/program.js'
import { i64 } from '../../tensor/tensor.js'
import { drawnParameters } from '../../testing/parameters.js'
import { clipText } from '../../text/encoder-clip.js'
import { openClipEmbedding, openClipNorm, openClipText } from '../../text/encoder-openclip.js'
import { vocabularyText } from '../../text/index.js'
import { conditioningConfig, embedConditions, inputsOf, openReaders, reachOf, stack } from '../index.js'
import { withClipSkip } from './clip-skip.js'
import { towersOf } from './clip-text.js'

const place = { width: 16, height: 16, latents: [4, 4, 4] } as const
const length = 6
const clip = {
  vocab_size: 49408,
  hidden_size: 8,
  intermediate_size: 16,
  num_hidden_layers: 3,
  num_attention_heads: 2,
  max_position_embeddings: length,
}
const open = { width: 4, heads: 1, layers: 3, vocab_size: 49408, embed_dim: 5, context_length: length }
const xl = conditioningConfig.parse({
  clip_text: {
    embedders: [
      { ...clip, layer: 'penultimate', normalised: false },
      { ...open, layer: 'penultimate', normalised: false, pooled: true, padding: 'zero' },
    ],
    zero_empty: true,
  },
  sizes: { outdim: 4 },
})

const fixture = new URL(
  '../../../fixtures/conformance/text/clip_vocabulary/bpe_simple_vocab_16e6.txt.gz',
  import.meta.url,
)
const merges = await vocabularyText(new Uint8Array(await readFile(fixture)), 'bpe_simple_vocab_16e6.txt.gz')
const stored = { vocabulary: JSON.stringify({ kind: 'clip', merges }) }

/** What a model's conditions become for some numbers, with drawn weights. */
function embedded(config: typeof xl, samples: readonly Record<string, ArrayLike<number>>[]) {
  const specs = inputsOf(config, place)
  const batch = Object.fromEntries(
    Object.entries(specs).map(([name, { dtype, shape }]) => [name, { dtype, shape: [samples.length, ...shape] }]),
  )
  const program = trace(batch, (at, inputs) => ({
    ...embedConditions(at, config, inputs, { place, encode: images => images }),
  }))
  const given = Object.fromEntries(
    Object.entries(stack(specs, samples)).map(([name, { data, shape }]) => [
      name,
      { shape, data: Float64Array.from(data as ArrayLike<number>, Number) },
    ]),
  )
  const values = { ...drawnParameters(program), ...given }
  const names = Object.keys(program.outputs)
  const found = evaluate(Object.values(program.outputs), values)
  return { program, values, outputs: Object.fromEntries(names.map((name, i) => [name, found[i]!])) }
}

const names = ({ parameters }: Program) => parameters.map(({ name }) => name)
const request = (prompt: string, negativePrompt = '') => ({ prompt, negativePrompt })

test("Stable Diffusion XL: two encoders' layers before the last side by side; pooled text and sizes are y", () => {
  assert.deepEqual(reachOf(xl, 4), { concat: 0, context: 12, vector: 5 + 6 * 4 })
  const reader = openReaders(xl, stored)
  const { positive, negative } = reader.ofRequest(request('a cat'), place, undefined as never)
  assert.deepEqual(Array.from(positive.tokens!), [49406, 320, 2368, 49407, 49407, 49407])
  assert.deepEqual(Array.from(positive.tokens_2!), [49406, 320, 2368, 49407, 0, 0])
  const { program, values, outputs } = embedded(xl, [positive, negative!])
  const [one, two] = ['conditioner.embedders.0.transformer', 'conditioner.embedders.1.model']
  assert.ok(names(program).every(name => name.startsWith(`${one}.text_model.`) || name.startsWith(`${two}.`)))
  // The first encoder's last layer tells nothing to anybody.
  assert.ok(!names(program).some(name => name.startsWith(`${one}.text_model.encoder.layers.2.`)))

  const [first, second] = towersOf(xl.clip_text!) as [never, never]
  const apart = trace({ tokens: i64(2, length), tokens_2: i64(2, length) }, (at, { tokens, tokens_2 }) => {
    const l = clipText(at(one), first, tokens)
    const g = openClipText(at(two), second, tokens_2)
    return { l: l.hidden.at(-2)!, g: g.hidden.at(-2)!, pooled: openClipEmbedding(at(two), second, g.last, tokens_2) }
  })
  const [l, g, pooled] = evaluate(Object.values(apart.outputs), { ...drawnParameters(apart), ...values })
  const { context, y } = outputs
  for (let token = 0; token < length; token++) {
    assert.deepEqual(context!.data.slice(token * 12, token * 12 + 8), l!.data.slice(token * 8, token * 8 + 8))
    assert.deepEqual(context!.data.slice(token * 12 + 8, token * 12 + 12), g!.data.slice(token * 4, token * 4 + 4))
  }
  assert.deepEqual(y!.data.slice(0, 5), pooled!.data.slice(0, 5))
  // Nothing to lead away from is zeros; the sizes stay.
  assert.ok(context!.data.slice(length * 12).every(value => value === 0))
  assert.ok(y!.data.slice(29, 29 + 5).every(value => value === 0))
  assert.deepEqual(y!.data.slice(5, 29), y!.data.slice(29 + 5))
})

test('a negative prompt is encoded, and so is an empty one where the model does not take zeros', () => {
  const told = (config: typeof xl, negative: string) =>
    openReaders(config, stored).ofRequest(request('a cat', negative), place, undefined as never).negative!.told
  assert.deepEqual([told(xl, ''), told(xl, 'dog')], [[0], [1]])
  const encoded = conditioningConfig.parse({ clip_text: { ...xl.clip_text, zero_empty: false } })
  assert.equal(told(encoded, ''), undefined)
})

test("Stable Diffusion 2: OpenCLIP's layer before the last, normalised, without the layer after it", () => {
  const config = conditioningConfig.parse({ clip_text: { ...open, layer: 'penultimate', padding: 'zero' } })
  assert.deepEqual(reachOf(config, 4), { concat: 0, context: 4 })
  const { positive } = openReaders(config, stored).ofRequest(request('a cat'), place, undefined as never)
  const { program, values, outputs } = embedded(config, [positive])
  const at = 'cond_stage_model.model'
  assert.ok(!names(program).some(name => name.includes('resblocks.2') || name.includes('text_projection')))
  const [tower] = towersOf(config.clip_text!) as [never]
  const apart = trace({ tokens: i64(1, length) }, (root, { tokens }) =>
    openClipNorm(root(at), openClipText(root(at), tower, tokens).hidden.at(-2)!),
  )
  const [context] = evaluate([apart.outputs.output!], { ...drawnParameters(apart), ...values })
  assert.deepEqual(outputs.context!.data, context!.data)
})

test('Hugging Face names of a tower that is pooled: the projection is of the last layer', () => {
  const config = conditioningConfig.parse({
    clip_text: { embedders: [{ ...clip, projection_dim: 3, layer: 'penultimate', normalised: false, pooled: true }] },
  })
  assert.deepEqual(reachOf(config, 4), { concat: 0, context: 8, vector: 3 })
  const { positive } = openReaders(config, stored).ofRequest(request('a cat'), place, undefined as never)
  const { program, outputs } = embedded(config, [positive])
  assert.ok(names(program).includes('conditioner.embedders.0.transformer.text_projection.weight'))
  assert.deepEqual(
    [outputs.context!.shape, outputs.y!.shape],
    [
      [1, length, 8],
      [1, 3],
    ],
  )
})

test('clip skip as each tool counts it', () => {
  const layers = (config: typeof xl, skip: number, rule: Parameters<typeof withClipSkip>[2]) =>
    towersOf(withClipSkip(config, skip, rule).clip_text!).map(({ layer }) => layer)
  const one = conditioningConfig.parse({ clip_text: clip })
  const two = conditioningConfig.parse({ clip_text: { ...open, layer: 'penultimate' } })
  assert.deepEqual([layers(one, 2, 'a1111'), layers(one, 2, 'comfyui'), layers(one, 1, 'diffusers')], [[2], [2], [2]])
  assert.deepEqual(
    [layers(two, 3, 'a1111'), layers(two, 3, 'comfyui'), layers(two, 1, 'diffusers')],
    [['penultimate'], [3], [3]],
  )
  assert.deepEqual(layers(xl, 1, 'a1111'), ['penultimate', 'penultimate'])
  assert.deepEqual(layers(xl, 1, 'comfyui'), [1, 1])
  assert.deepEqual(layers(xl, 1, 'diffusers'), [3, 3])
  assert.throws(() => layers(xl, 2, 'diffusers'), /clipSkip is 2; this model wants 0 to 1, as diffusers counts/)
  assert.throws(() => layers(one, 0, 'a1111'), /wants 1 to 3/)
  assert.throws(() => withClipSkip({}, 2, 'a1111'), /models of CLIP text encoders/)
  assert.throws(() => conditioningConfig.parse({ clip_text: { ...clip, layer: 4 } }), /there are 3 layers/)
})
