import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluate } from '../tensor/evaluate.js'
import { trace } from '../tensor/program.js'
import { open, sizeOf } from '../tensor/shape.js'
import { f32, i64, type Value } from '../tensor/tensor.js'
import { drawnParameters } from '../testing/parameters.js'
import { textEncoder, textEncoderConfig } from './encoder.js'
import { atEndOfText, clipText, clipTextConfig, clipTextProjection, finalNorm } from './encoder-clip.js'
import { openClipEmbedding, openClipNorm, openClipText, openClipTextConfig } from './encoder-openclip.js'

const changed = (ids: number[], at: number) => ids.map((id, i) => (i === at ? id + 1 : id))
const batch = (ids: number[]): Value => ({ shape: [1, ids.length], data: Float64Array.from(ids) })

test('the joint encoder: every token sees every other, shorter texts are allowed, longer ones refused', () => {
  const config = textEncoderConfig.parse({
    n_embed: 6,
    n_layer: 1,
    vocab_size: 9,
    max_seq_len: 4,
    heads: 2,
    dim_head: 3,
  })
  const program = trace({ tokens: i64(1, 3) }, (at, { tokens }) => textEncoder(at, config, tokens))
  const encode = (ids: number[]) =>
    evaluate([program.outputs.output!], { ...drawnParameters(program), tokens: batch(ids) })[0]!.data
  assert.notDeepEqual(encode([1, 2, 3]).subarray(0, 6), encode(changed([1, 2, 3], 2)).subarray(0, 6))
  assert.deepEqual(program.parameters.find(({ name }) => name.endsWith('to_q.weight'))!.shape, [6, 6])
  assert.deepEqual(
    trace({ tokens: i64(open, 4) }, (at, { tokens }) => textEncoder(at, config, tokens)).outputs.output!.shape,
    [open, 4, 6],
  )
  assert.throws(() => trace({ tokens: i64(1, 5) }, (at, { tokens }) => textEncoder(at, config, tokens)), /at most 4/)
})

test('CLIP: a token sees those before it, and the text is that of its first end token', () => {
  const words = { vocab_size: 20, hidden_size: 4, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 2 }
  const encode = (eos_token_id: number, ids: number[]) => {
    const config = clipTextConfig.parse({ ...words, eos_token_id, max_position_embeddings: 5 })
    const program = trace({ tokens: i64(1, 5) }, (at, { tokens }) => {
      const { last, pooled } = clipText(at, config, tokens)
      return { last, pooled }
    })
    const given = { ...drawnParameters(program), tokens: batch(ids) }
    const [last, pooled] = evaluate([program.outputs.last!, program.outputs.pooled!], given)
    assert.equal(sizeOf(pooled!.shape), 4)
    return { last: last!.data, pooled: pooled!.data }
  }
  const ids = [5, 9, 3, 9, 18]
  const { last, pooled } = encode(9, ids)
  assert.deepEqual(pooled, last.slice(4, 8))
  assert.deepEqual(encode(2, ids).pooled, last.slice(16))
  assert.deepEqual(encode(9, changed(ids, 4)).last.subarray(0, 16), last.subarray(0, 16))
})

test("OpenCLIP's names and Hugging Face's are the same network", () => {
  const [width, layers, embed_dim] = [8, 2, 3]
  const arch = openClipTextConfig.parse({ embed_dim, context_length: 5, vocab_size: 20, width, heads: 2, layers })
  const own = trace({ tokens: i64(1, 5) }, (at, { tokens }) => {
    const { last, hidden } = openClipText(at, arch, tokens)
    const penultimate = hidden.at(-2)!
    const embedding = openClipEmbedding(at, arch, last, tokens)
    return { last, penultimate, normalized: openClipNorm(at, penultimate), embedding }
  })
  const config = clipTextConfig.parse({
    vocab_size: 20,
    hidden_size: width,
    intermediate_size: 4 * width,
    num_hidden_layers: layers,
    num_attention_heads: 2,
    max_position_embeddings: 5,
    hidden_act: 'gelu',
  })
  const other = trace({ tokens: i64(1, 5) }, (at, { tokens }) => {
    const { last, hidden, pooled } = clipText(at, config, tokens)
    const normalized = finalNorm(at, config, hidden.at(-2)!)
    return { last, penultimate: hidden.at(-2)!, normalized, embedding: clipTextProjection(at, pooled, embed_dim) }
  })
  const given = drawnParameters(other)
  const values: Record<string, Value> = {}
  for (const { name, shape } of own.parameters) {
    const place = name
      .replace('token_embedding', 'text_model.embeddings.token_embedding')
      .replace(/^positional_embedding/, 'text_model.embeddings.position_embedding.weight')
      .replace('ln_final', 'text_model.final_layer_norm')
      .replace('text_projection', 'text_projection.weight')
      .replace('transformer.resblocks', 'text_model.encoder.layers')
      .replace('ln_', 'layer_norm')
      .replace('.attn.', '.self_attn.')
      .replace('c_fc', 'fc1')
      .replace('c_proj', 'fc2')
    const fused = /in_proj_(\w+)$/.exec(place)
    const parts = fused ? ['q', 'k', 'v'].map(p => place.replace(fused[0], `${p}_proj.${fused[1]}`)) : [place]
    const data = parts.flatMap(part => [...given[part]!.data])
    const turned = (i: number) => data[(i % embed_dim) * width + Math.floor(i / embed_dim)]!
    values[name] = { shape, data: Float64Array.from(data, (v, i) => (name === 'text_projection' ? turned(i) : v)) }
  }
  const tokens = batch([5, 9, 3, 19, 0])
  for (const name of ['last', 'penultimate', 'normalized', 'embedding']) {
    const [a] = evaluate([own.outputs[name]!], { ...values, tokens })
    const [b] = evaluate([other.outputs[name]!], { ...given, tokens })
    assert.deepEqual(a, b, name)
  }
})

test('a text is pooled at its end, whatever further words are in it', () => {
  const pooled = (eos: number) => {
    const { outputs } = trace({ x: f32(1, 4, 1), tokens: i64(1, 4) }, (_, { x, tokens }) =>
      atEndOfText(x, tokens, { eos, vocabulary: 10 }),
    )
    const x = { shape: [1, 4, 1], data: Float64Array.of(1, 2, 3, 4) }
    return evaluate([outputs.output!], { x, tokens: { shape: [1, 4], data: Float64Array.of(5, 12, 9, 0) } })[0]!.data[0]
  }
  assert.deepEqual([pooled(2), pooled(9), pooled(5)], [3, 3, 1])
})
