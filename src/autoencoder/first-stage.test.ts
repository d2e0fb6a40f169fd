import assert from 'node:assert/strict'
import { test } from 'node:test'
import { add, div } from '../tensor/binary.js'
import { evaluate } from '../tensor/evaluate.js'
import { trace } from '../tensor/program.js'
import { f32 } from '../tensor/tensor.js'
import { drawnParameters } from '../testing/parameters.js'
import { drawing } from '../testing/values.js'
import { firstStageConfig, firstStageFactor, hasCodebook, latentChannels } from './config.js'
import { decodeFirstStage, encodeFirstStage } from './first-stage.js'
import { deviation, sample } from './posterior.js'
import { decodeTaesd, encodeTaesd, taesdConfig } from './taesd.js'

const ddconfig = {
  double_z: false,
  z_channels: 2,
  resolution: 4,
  in_channels: 3,
  out_ch: 3,
  ch: 2,
  ch_mult: [1, 1],
  num_res_blocks: 1,
  num_groups: 1,
  attn_resolutions: [],
}

test('the identity: latents are the pixels, drawing changes nothing', () => {
  const config = firstStageConfig.parse({ f: 1 })
  const program = trace({ images: f32(1, 3, 2, 2), noise: f32(1, 3, 2, 2) }, (at, { images, noise }) => {
    const posterior = encodeFirstStage(at, config, images)
    return { drawn: sample(posterior, noise), images: decodeFirstStage(at, config, posterior.mean) }
  })
  const images = drawing(1).normal(1, 3, 2, 2)
  const [drawn, decoded] = evaluate(Object.values(program.outputs), { images, noise: drawing(2).normal(1, 3, 2, 2) })
  assert.deepEqual([drawn!.data, decoded!.data], [images.data, images.data])
  assert.deepEqual([firstStageFactor(config), hasCodebook(config), program.parameters.length], [1, false, 0])
})

test('a codebook: latents come before it, have no deviation, and are quantised when they are decoded', () => {
  const config = firstStageConfig.parse({ ddconfig, embed_dim: 2, n_embed: 4 })
  assert.ok(hasCodebook(config))
  const program = trace({ images: f32(1, 3, 4, 4), nudge: f32(1, 2, 2, 2) }, (at, { images, nudge }) => {
    const posterior = encodeFirstStage(at, config, images)
    return {
      deviation: deviation(posterior),
      decoded: decodeFirstStage(at, config, posterior.mean),
      nudged: decodeFirstStage(at, config, sample(posterior, nudge)),
    }
  })
  const images = drawing(3).normal(1, 3, 4, 4)
  const values = evaluate(Object.values(program.outputs), {
    ...drawnParameters(program),
    images,
    nudge: drawing(4).normal(1, 2, 2, 2),
  })
  assert.deepEqual([...values[0]!.data], Array(8).fill(0))
  assert.deepEqual(values[1], values[2])
  assert.equal(firstStageFactor(config), 2)
})

test('TAESD: images in [-1, 1] around a network of [0, 1], latents a point', () => {
  const config = firstStageConfig.parse({ latent_channels: 3, width: 4 })
  const program = trace({ images: f32(1, 3, 8, 16), z: f32(1, 3, 1, 2) }, (at, { images, z }) => {
    const posterior = encodeFirstStage(at, config, images)
    return {
      latents: sample(posterior, z),
      plain: encodeTaesd(at('encoder'), taesdConfig.parse(config), div(add(images, 1), 2)),
      images: decodeFirstStage(at, config, z),
      unit: decodeTaesd(at('decoder'), taesdConfig.parse(config), z),
    }
  })
  const { latents, plain, images, unit } = program.outputs
  const values = evaluate([latents!, plain!, images!, unit!], {
    ...drawnParameters(program),
    images: drawing(5).normal(1, 3, 8, 16),
    z: drawing(6).normal(1, 3, 1, 2),
  })
  assert.deepEqual(values[0], values[1])
  assert.deepEqual(values[2]!.shape, [1, 3, 8, 16])
  assert.deepEqual(
    values[2]!.data,
    values[3]!.data.map(value => 2 * value - 1),
  )
  assert.deepEqual([firstStageFactor(config), latentChannels(config), hasCodebook(config)], [8, 3, false])
})

test('each kind is told by its keys; a wrong key is refused', () => {
  const { double_z: _, ...kl } = ddconfig
  assert.ok(!hasCodebook(firstStageConfig.parse({ ddconfig: kl, embed_dim: 2 })))
  assert.throws(() => firstStageConfig.parse({ f: 2 }))
  assert.throws(() => firstStageConfig.parse({ ddconfig: kl, embed_dim: 2, n_embeds: 4 }))
})
