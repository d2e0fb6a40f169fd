import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { tinyWeights } from '../../testing/checkpoint.js'
import { published } from '../../testing/published.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { tinyCheckpoint } from '../../testing/tiny-model.js'
import { autoencoderRenames, autoencoderToDiffusers } from '../../weights/diffusers/index.js'
import { fromFloat32, type TensorData, toFloat32 } from '../../weights/dtypes.js'
import { below } from '../../weights/rename.js'
import { encodeSafetensors } from '../../weights/safetensors.js'
import { encodeTorchFile } from '../../weights/torch/write.js'
import { checkpointModel } from './checkpoint-model.js'
import { load } from './load.js'
import { openModelFile } from './model-file.js'

type Json = Record<string, unknown>
type Tensors = ReadonlyMap<string, TensorData>

const folder = await temporaryFolder()
async function written(name: string, bytes: Uint8Array | object): Promise<string> {
  const path = join(folder, name)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, bytes instanceof Uint8Array ? bytes : JSON.stringify(bytes))
  return path
}

const tinyOf = (family: string) => published.find(p => p.family === family)!.tiny as Record<string, Json>
const sd1 = tinyWeights(tinyOf('sd1'))
const stage = 'first_stage_model.'
const negated = (t: TensorData) =>
  fromFloat32(
    toFloat32(t).map(v => -v),
    t.shape,
  )
/** The first stage with other numbers, by its own names. */
const other: Tensors = new Map([...below(sd1, stage)].map(([name, t]) => [name, negated(t)]))
const placed = (tensors: Tensors, place: string): Map<string, TensorData> =>
  new Map([...tensors].map(([name, t]) => [place + name, t]))
const without = (...places: string[]): Map<string, TensorData> =>
  new Map([...sd1].filter(([name]) => !places.some(place => name.startsWith(place))))
const file = (...parts: Tensors[]) => encodeSafetensors(new Map(parts.flatMap(part => [...part])))
const wanted = 'first_stage_model.decoder.conv_out.weight'

test('a first stage is taken from any layout of one, and from a whole model', async () => {
  const { ddconfig, embed_dim } = tinyOf('sd1').first_stage_config as never as Parameters<
    typeof autoencoderToDiffusers
  >[0]
  const { toDiffusers } = autoencoderRenames(ddconfig)
  const theirs = new Map(
    [...other].map(([name, t]) => {
      const to = toDiffusers(name, t.shape)!
      return [to.name, { ...t, shape: to.shape }]
    }),
  )
  await written('vae-ft/config.json', autoencoderToDiffusers({ ddconfig, embed_dim }, 0.18215))
  await written('vae-ft/diffusion_pytorch_model.safetensors', encodeSafetensors(theirs))
  const vaes = [
    await written('bare.ckpt', encodeTorchFile({ state_dict: Object.fromEntries(other) })),
    await written('prefixed.safetensors', file(placed(other, stage))),
    await written('diffusers.safetensors', encodeSafetensors(theirs)),
    join(folder, 'vae-ft'),
    await written('whole.safetensors', file(without(stage), placed(other, stage))),
  ]
  const models = [file(sd1), file(without(stage))]
  for (const vae of vaes)
    for (const model of models) {
      const checkpoint = await openModelFile(model, { vae })
      const { added, unplaced } = checkpointModel(checkpoint)
      assert.equal(checkpoint.origin?.family?.name, 'sd1')
      assert.deepEqual(unplaced, [])
      assert.deepEqual(added, { VAE: /([^/\\]+?)(\.\w+)?$/.exec(vae)![1] })
      assert.deepEqual(toFloat32(await checkpoint.read(wanted)), toFloat32(other.get(wanted.slice(stage.length))!))
      await checkpoint.close()
    }
})

test('pictures are decoded by the other first stage and say so, a TAESD does it too', async () => {
  const settings = { steps: 1, seed: 3, width: 64, height: 64, sampler: 'ddim' } as const
  const painted = async (vae?: Uint8Array | string) => {
    await using model = await load(file(sd1), { threads: 1, vae })
    return await model.generate('a red car', settings).image()
  }
  const plain = await painted()
  const changed = await painted(await written('other.safetensors', file(other)))
  assert.notDeepEqual(changed.data, plain.data)
  assert.equal(changed.parameters.extra?.VAE, 'other')
  const conv = (shape: number[]) =>
    fromFloat32(
      new Float32Array(shape.reduce((a, b) => a * b)).map((_, i) => Math.sin(i) / 9),
      shape,
    )
  const tiny = new Map<string, TensorData>()
  const block = (at: number) => {
    for (const i of [0, 2, 4])
      tiny.set(`${at}.conv.${i}.weight`, conv([8, 8, 3, 3])).set(`${at}.conv.${i}.bias`, conv([8]))
  }
  tiny.set('1.weight', conv([8, 4, 3, 3])).set('1.bias', conv([8]))
  for (const at of [3, 4, 5, 8, 9, 10, 13, 14, 15, 18]) block(at)
  for (const at of [7, 12, 17]) tiny.set(`${at}.weight`, conv([8, 8, 3, 3]))
  tiny.set('19.weight', conv([3, 8, 3, 3])).set('19.bias', conv([3]))
  const taesd = await written('taesd_decoder.safetensors', file(tiny))
  const small = await painted(taesd)
  assert.equal(small.parameters.extra?.VAE, 'taesd_decoder')
  assert.notDeepEqual(small.data, plain.data)
  const { info, close } = await openModelFile(file(sd1), { vae: taesd })
  assert.deepEqual([info.config.scale_factor, info.config.shift_factor], [1, 0])
  await close()
})

test('text encoders are taken from files of their own, those of XL in whatever order', async () => {
  const clip = below(sd1, 'cond_stage_model.transformer.')
  const bare = without('cond_stage_model.')
  for (const encoder of [file(clip), file(placed(clip, 'transformer.')), file(sd1)]) {
    const checkpoint = await openModelFile(file(bare), { textEncoders: [encoder] })
    const { unplaced } = checkpointModel(checkpoint)
    assert.equal(checkpoint.origin?.family?.name, 'sd1')
    assert.deepEqual(unplaced, [])
    assert.ok(checkpoint.info.vocabulary)
    await checkpoint.close()
  }
  const xl = tinyWeights(tinyOf('sdxl'))
  const towers = ['conditioner.embedders.0.transformer.', 'conditioner.embedders.1.model.'].map(at =>
    file(below(xl, at)),
  )
  const rest = new Map([...xl].filter(([name]) => !name.startsWith('conditioner.')))
  const checkpoint = await openModelFile(encodeSafetensors(rest), { textEncoders: towers.reverse() })
  assert.equal(checkpoint.origin?.family?.name, 'sdxl')
  assert.deepEqual(checkpointModel(checkpoint).unplaced, [])
  await checkpoint.close()
})

test('what a model lacks is named with the way to give it', async () => {
  const refused = (tensors: Tensors, reason: RegExp) =>
    assert.rejects(openModelFile(encodeSafetensors(tensors)), reason)
  await refused(without(stage), /lacks a first stage \(give its file as vae, --vae\)/)
  await refused(without('cond_stage_model.'), /lacks a text encoder \(give its file as textEncoders, --text-encoder/)
  await refused(below(sd1, 'model.diffusion_model.'), /lacks a first stage .* and a text encoder/)
})

test('a first stage of other latents, and what is none, is refused by its file', async () => {
  const refused = async (vae: Uint8Array | string, reason: RegExp, model = file(sd1)) =>
    assert.rejects(openModelFile(model, { vae }), reason)
  await refused(
    file(below(tinyWeights(tinyOf('ldm-unconditional')), stage)),
    /latents have 3 channels, those of the model 4/,
  )
  await refused(
    file(below(tinyWeights(tinyOf('sd-x4-upscaler')), stage)),
    /stand for 4 pixels a side, those of the model for 8/,
  )
  await refused(file(below(sd1, 'model.diffusion_model.')), /holds no first stage: .*wanted is an autoencoder/)
  await refused(join(folder, 'missing.safetensors'), /missing\.safetensors: .*check the path/)
  await assert.rejects(
    openModelFile(file(sd1), { textEncoders: [file(other)] }),
    /holds no text encoder: .*wanted is that of CLIP or OpenCLIP/,
  )
  const clip = file(below(sd1, 'cond_stage_model.transformer.'))
  await assert.rejects(
    openModelFile(file(sd1), { textEncoders: [clip, clip] }),
    /second text encoder, and the model takes one/,
  )
  await assert.rejects(
    openModelFile(tinyCheckpoint(), { textEncoders: [clip] }),
    /knows no other text encoder than its own/,
  )
})

test('a scale that another model has tells that a first stage is not of this one', async () => {
  const { ddconfig, embed_dim } = tinyOf('sd1').first_stage_config as never as Parameters<
    typeof autoencoderToDiffusers
  >[0]
  await written('vae-ft/config.json', autoencoderToDiffusers({ ddconfig, embed_dim }, 0.13025))
  const vae = join(folder, 'vae-ft')
  await assert.rejects(
    openModelFile(file(sd1), { vae }),
    /its latents are scaled by 0\.13025, those of the model by 0\.18215/,
  )
  const { scaling_factor: _, ...unsaid } = autoencoderToDiffusers({ ddconfig, embed_dim }, 1)
  await written('vae-ft/config.json', unsaid)
  const { info, close } = await openModelFile(file(sd1), { vae })
  assert.equal(info.config.scale_factor, 0.18215)
  await close()
})
