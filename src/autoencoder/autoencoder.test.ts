import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluate } from '../tensor/evaluate.js'
import { trace } from '../tensor/program.js'
import { open } from '../tensor/shape.js'
import { f32 } from '../tensor/tensor.js'
import { drawnParameters } from '../testing/parameters.js'
import { drawing } from '../testing/values.js'
import { decode, encode } from './autoencoder.js'
import { autoencoderConfig, downsamplingFactor, vqConfig } from './config.js'
import { deviation, kl, klPerElement, nll, posteriorOf, sample } from './posterior.js'
import { encodeVq, quantize } from './vq.js'

const ddconfig = {
  z_channels: 2,
  resolution: 8,
  in_channels: 3,
  out_ch: 3,
  ch: 32,
  ch_mult: [1, 1],
  num_res_blocks: 1,
  attn_resolutions: [],
}
const words = { ddconfig, embed_dim: 4 }

test('images shrink by f and come back, whatever their size, with an open batch', () => {
  const config = autoencoderConfig.parse(words)
  const program = trace({ images: f32(open, 3, 8, 12) }, (at, { images }) => {
    const { mean, logvar } = encode(at, config, images)
    return { mean, logvar, images: decode(at, config, mean) }
  })
  assert.equal(downsamplingFactor(config.ddconfig), 2)
  assert.deepEqual(program.outputs.mean!.shape, [open, 4, 4, 6])
  assert.deepEqual(program.outputs.images!.shape, [open, 3, 8, 12])
  assert.throws(
    () => trace({ images: f32(1, 3, 9, 8) }, (at, { images }) => encode(at, config, images).mean),
    /9x8 images do not shrink by 2/,
  )
})

test('attention lies where attn_resolutions says and in the middle, and goes by attn_type', () => {
  const names = (change: object) => {
    const config = autoencoderConfig.parse({ ...words, ddconfig: { ...ddconfig, ...change } })
    const { parameters } = trace({ images: f32(1, 3, 8, 8) }, (at, { images }) => encode(at, config, images).mean)
    return parameters.flatMap(({ name }) => (/attn.*weight/.test(name) ? [name.replace(/\.weight$/, '')] : []))
  }
  const vanilla = (place: string) => ['norm', 'q', 'k', 'v', 'proj_out'].map(name => `encoder.${place}.${name}`)
  assert.deepEqual(names({}), vanilla('mid.attn_1'))
  assert.deepEqual(names({ attn_resolutions: [4] }), [...vanilla('down.1.attn.0'), ...vanilla('mid.attn_1')])
  assert.deepEqual(names({ attn_type: 'none' }), [])
  assert.deepEqual(names({ use_linear_attn: true }), ['encoder.mid.attn_1.to_qkv', 'encoder.mid.attn_1.to_out'])
})

test('a wrong config is refused with the word and what would be right', () => {
  assert.throws(
    () => autoencoderConfig.parse({ ...words, ddconfig: { ...ddconfig, double_z: false } }),
    /double_z must be true/,
  )
  assert.throws(
    () => autoencoderConfig.parse({ ...words, ddconfig: { ...ddconfig, ch: 20 } }),
    /multiple of num_groups, 32/,
  )
  assert.throws(() => autoencoderConfig.parse({ ...words, ddconfig: { ...ddconfig, chmult: [1] } }), /chmult/)
})

test('a posterior: logvar is clamped, kl is 0 for the unit normal, nll is that of the normal density', () => {
  const moments = { shape: [1, 2, 1, 2], data: Float64Array.of(0, 1, 0, -40) }
  const { outputs } = trace({ moments: f32(1, 2, 1, 2), noise: f32(1, 1, 1, 2) }, (_, { moments, noise }) => {
    const posterior = posteriorOf(moments)
    return {
      logvar: posterior.logvar,
      deviation: deviation(posterior),
      sample: sample(posterior, noise),
      kl: kl(posterior),
      perElement: klPerElement(posterior),
      nll: nll(posterior, posterior.mean),
    }
  })
  const values = evaluate(Object.values(outputs), {
    moments,
    noise: { shape: [1, 1, 1, 2], data: Float64Array.of(0.5, 0.5) },
  })
  const [logvar, std, drawn, divergence, mean, likelihood] = values.map(({ data }) => [...data])
  const tiny = Math.exp(-15)
  assert.deepEqual(logvar, [0, -30])
  assert.deepEqual(std, [1, tiny])
  assert.deepEqual(drawn, [0.5, 1 + 0.5 * tiny])
  assert.ok(Math.abs(divergence![0]! - 0.5 * (1 + tiny ** 2 - 1 + 30)) < 1e-12)
  assert.ok(Math.abs(mean![0]! - divergence![0]! / 2) < 1e-12)
  assert.ok(Math.abs(likelihood![0]! - 0.5 * (2 * Math.log(2 * Math.PI) - 30)) < 1e-12)
})

test('the quantiser finds the nearest code of each position', () => {
  const config = vqConfig.parse({ ddconfig: { ...ddconfig, double_z: false }, embed_dim: 2, n_embed: 5 })
  const program = trace({ images: f32(2, 3, 4, 4) }, (at, { images }) => {
    const latents = encodeVq(at, config, images)
    const { indices, latents: codes } = quantize(at, config, latents)
    return { latents, indices, codes }
  })
  const parameters = drawnParameters(program)
  const results = evaluate(Object.values(program.outputs), { ...parameters, images: drawing(9).normal(2, 3, 4, 4) })
  const [latents, indices, codes] = results.map(({ data }) => data)
  const codebook = parameters['quantize.embedding.weight']!.data
  for (const [i, index] of indices!.entries()) {
    const at = (c: number) => (Math.floor(i / 4) * 2 + c) * 4 + (i % 4)
    const distance = (code: number) =>
      [0, 1].reduce((sum, c) => sum + (latents![at(c)]! - codebook[code * 2 + c]!) ** 2, 0)
    const nearest = [0, 1, 2, 3, 4].reduce((best, code) => (distance(code) < distance(best) ? code : best))
    assert.equal(index, nearest)
    assert.equal(codes![at(1)], codebook[nearest * 2 + 1])
  }
})
