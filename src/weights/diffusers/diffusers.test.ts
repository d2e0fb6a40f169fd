import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { FileError } from '../../platform/errors.js'
import { bytesSource } from '../../platform/sources.js'
import { renamedFile, renameTensors, underPrefix } from '../rename.js'
import { encodeSafetensors, openSafetensors } from '../safetensors.js'
import type { TensorInfo } from '../tensor-file.js'
import { autoencoderFromDiffusers, autoencoderToDiffusers } from './autoencoder.js'
import { autoencoderRenames } from './autoencoder-names.js'
import type { Renames } from './module-names.js'
import { tinyAutoencoderRenames } from './tiny-autoencoder.js'
import { unetFromDiffusers, unetToDiffusers } from './unet-config.js'
import { unetRenames } from './unet-names.js'

const fixtures = fileURLToPath(new URL('../../../fixtures/weights/diffusers', import.meta.url))

type Shapes = Record<string, readonly number[]>
/** Of one network: both configs, and the shapes of all tensors in both layouts. */
interface Fixture {
  compvisConfig: Record<string, unknown>
  diffusersConfig: Record<string, unknown>
  compvis: Shapes
  diffusers?: Shapes
}
const load = async (name: string): Promise<Fixture> => JSON.parse(await readFile(join(fixtures, name), 'utf8'))

const fileOf = (shapes: Shapes) => ({
  name: 'model.safetensors',
  tensors: new Map(
    Object.entries(shapes).map(([name, shape]): [string, TensorInfo] => [name, { dtype: 'F32', shape }]),
  ),
})
const shapesOf = (tensors: ReadonlyMap<string, TensorInfo>): Shapes =>
  Object.fromEntries([...tensors].map(([name, { shape }]) => [name, shape]))

/** Every tensor of one layout must be one of the other, and come back as itself. */
function checkBothWays({ compvis, diffusers }: Fixture, renames: Renames): void {
  const { tensors } = renameTensors(fileOf(compvis), renames.toDiffusers, 'the network')
  if (diffusers) assert.deepEqual(shapesOf(tensors), diffusers)
  const back = renameTensors({ name: 'model.safetensors', tensors }, renames.toCompvis, 'the network')
  assert.deepEqual(shapesOf(back.tensors), compvis)
}

for (const name of ['unet-sd1.json', 'unet-sd2.json', 'unet-sdxl.json']) {
  test(`${name}: config, names and shapes agree in both directions`, async () => {
    const fixture = await load(name)
    const { words, label } = unetFromDiffusers(fixture.diffusersConfig, name)
    // Says which kernel computes attention, which a diffusers config does not.
    const { spatial_transformer_attn_type: _, ...said } = fixture.compvisConfig
    assert.deepEqual({ ...words, ...said }, words)
    checkBothWays(fixture, unetRenames(words, label))
    const timeEmbedding = fixture.diffusersConfig.addition_time_embed_dim as number | null
    const written = unetToDiffusers({ ...words }, timeEmbedding ?? undefined)
    assert.deepEqual({ ...fixture.diffusersConfig, ...written }, fixture.diffusersConfig)
    assert.deepEqual(unetFromDiffusers(written, name), { words, label })
  })
}

test('a KL autoencoder: config, names and shapes agree in both directions', async () => {
  const fixture = await load('autoencoder-kl.json')
  const { words, scaleFactor } = autoencoderFromDiffusers(fixture.diffusersConfig, 'config.json')
  const { class: _, scale_factor, ...said } = fixture.compvisConfig
  assert.deepEqual(words, said)
  assert.equal(scaleFactor, scale_factor)
  checkBothWays(fixture, autoencoderRenames(words.ddconfig))
  const written = autoencoderToDiffusers(words, scaleFactor)
  assert.deepEqual({ ...fixture.diffusersConfig, ...written }, fixture.diffusersConfig)
})

test('attention inside the levels of an autoencoder, and its names before diffusers 0.17', async () => {
  const fixture = await load('autoencoder-kl-attention.json')
  const words = fixture.compvisConfig as unknown as Parameters<typeof autoencoderToDiffusers>[0]
  checkBothWays(fixture, autoencoderRenames(words.ddconfig))
  assert.throws(() => autoencoderToDiffusers(words, 1), /embed_dim 4 and z_channels 8/)
  const written = autoencoderToDiffusers({ ...words, embed_dim: 8 }, 1)
  assert.deepEqual(
    autoencoderFromDiffusers(written, 'config.json').words.ddconfig.attn_resolutions,
    words.ddconfig.attn_resolutions,
  )
  const { toCompvis } = autoencoderRenames(words.ddconfig)
  assert.deepEqual(toCompvis('decoder.mid_block.attentions.0.proj_attn.weight', [8, 8]), {
    name: 'decoder.mid.attn_1.proj_out.weight',
    shape: [8, 8, 1, 1],
  })
})

test('TAESD: every layer of one layout is one of the other', async () => {
  checkBothWays(await load('autoencoder-tiny.json'), tinyAutoencoderRenames)
})

test('what the other layout cannot hold is refused by name', async () => {
  const fixture = await load('unet-sd1.json')
  const refused = (change: object, reason: RegExp) =>
    assert.throws(
      () => unetFromDiffusers({ ...fixture.diffusersConfig, ...change }, 'unet/config.json'),
      (error: Error) => error instanceof FileError && reason.test(error.message),
    )
  refused({ down_block_types: ['DownBlock2D', 'KDownBlock2D'] }, /down_block_types/)
  refused({ _class_name: 'UNet2DModel' }, /_class_name/)
  refused({ up_block_types: ['UpBlock2D', 'UpBlock2D'] }, /in reverse/)
  refused({ layers_per_block: [1] }, /1 entries for 2/)
  refused({ layers_per_block: 2e9 }, /layers_per_block/)
  refused({ attention_head_dim: [3, 4] }, /neither one number of heads/)
  assert.throws(() => unetFromDiffusers([], 'x'), FileError)
  assert.throws(() => unetToDiffusers({ ...fixture.compvisConfig, resblock_updown: true }), /resblock_updown/)

  const { toCompvis } = unetRenames(unetFromDiffusers(fixture.diffusersConfig, '').words)
  const rename = (shapes: Shapes) => renameTensors(fileOf(shapes), toCompvis, 'the UNet')
  assert.throws(() => rename({ 'down_blocks.7.resnets.0.conv1.weight': [1] }), /no place for "down_blocks\.7/)
  assert.throws(() => rename({ 'down_blocks.0.resnets.0.conv9.weight': [1] }), /no place for/)
  assert.throws(() => rename({ '': [1] }), /no place for ""/)
})

test('a renamed file reads the same bytes under the other name and shape, from the same place', async () => {
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => i)
  const original = 'vae.decoder.mid_block.attentions.0.to_q.weight'
  const file = await openSafetensors(
    bytesSource(encodeSafetensors(new Map([[original, { dtype: 'F32', shape: [2, 2], bytes }]]))),
  )
  const { compvisConfig } = await load('autoencoder-kl.json')
  const { ddconfig } = compvisConfig as unknown as Parameters<typeof autoencoderToDiffusers>[0]
  const renamed = renamedFile(underPrefix(file, 'vae.'), autoencoderRenames(ddconfig).toCompvis, 'the autoencoder')
  const name = 'decoder.mid.attn_1.q.weight'
  assert.deepEqual(await renamed.read(name), { dtype: 'F32', shape: [2, 2, 1, 1], bytes })
  assert.equal(renamed.tensors.get(name)?.begin, file.tensors.get(original)?.begin)
  await assert.rejects(renamed.read(original), /has no tensor/)
})
