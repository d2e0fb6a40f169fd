import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { LatentkitError } from '../../platform/errors.js'
import { bytesSource } from '../../platform/sources.js'
import { hostTensor, openDevice } from '../../runtime/index.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { tinyCheckpoint, tinyConfig } from '../../testing/tiny-model.js'
import { drawing } from '../../testing/values.js'
import { openCheckpoint } from '../../weights/checkpoint.js'
import {
  autoencoderFromDiffusers,
  autoencoderRenames,
  unetFromDiffusers,
  unetRenames,
} from '../../weights/diffusers/index.js'
import { openWeights } from '../../weights/open-weights.js'
import { renamedFile } from '../../weights/rename.js'
import { checkpointModel } from '../loading/checkpoint-model.js'
import type { ModelConfig } from '../model-config.js'
import { decodingProgram } from '../programs.js'
import { writeCompvis, writeDiffusers } from './index.js'

const folder = await temporaryFolder()

const opened = async (config?: ModelConfig) =>
  checkpointModel(await openCheckpoint(bytesSource(tinyCheckpoint(config), 'tiny')))

test('the latents\u2019 scale and shift go into the weights around them where no single number says them', async () => {
  const model = await opened()
  const path = join(folder, 'compvis.safetensors')
  await writeCompvis(model, path)
  const file = await openWeights(path)
  assert.deepEqual([...file.tensors.keys()].sort(), [...model.weights.tensors.keys()].sort())

  await using device = await openDevice('cpu', { threads: 1 })
  const z = hostTensor(Float32Array.from(drawing(1).normal(1, 4, 8, 8).data), [1, 4, 8, 8])
  const decoded = async (config: ModelConfig, weights: Parameters<typeof device.compile>[1]) => {
    const decode = await device.compile(decodingProgram(config, { width: 16, height: 16 }), weights)
    return (await decode({ z })).images!.data as Float32Array
  }
  const ours = await decoded(model.config, { weights: model.weights })
  const carried = checkpointModel(await openCheckpoint(bytesSource(await readFile(path), path)))
  assert.deepEqual(carried.config, { ...model.config, scale_factor: 1, shift_factor: 0 })
  const theirs = await decoded(carried.config, { weights: file })
  assert.ok(ours.every((v, i) => Math.abs(v - theirs[i]!) < 1e-5))
  await file.close()
})

test('a folder of diffusers says the same networks and holds the same tensors', async () => {
  const config = tinyConfig()
  const model = await opened({ ...config, scale_factor: 0.5, shift_factor: 0 })
  await writeDiffusers(model, folder)
  const json = async (path: string) => JSON.parse(await readFile(join(folder, path), 'utf8'))
  const { words } = unetFromDiffusers(await json('unet/config.json'), 'unet')
  const { image_size, in_channels, channel_mult, context_dim } = words
  assert.deepEqual([image_size, in_channels, channel_mult, context_dim], [8, 4, [1, 1], 16])
  assert.equal((await json('scheduler/scheduler_config.json')).prediction_type, 'v_prediction')
  const vae = await json('vae/config.json')
  const stage = autoencoderFromDiffusers(vae, 'vae')
  assert.deepEqual([stage.words.ddconfig.attn_type, stage.words.embed_dim, stage.scaleFactor], ['none', 4, 0.5])

  for (const [name, prefix, renames] of [
    ['unet', 'model.diffusion_model.', unetRenames(config.unet_config!)],
    ['vae', 'first_stage_model.', autoencoderRenames(stage.words.ddconfig)],
  ] as const) {
    const file = await openWeights(join(folder, name, 'diffusion_pytorch_model.safetensors'))
    const back = renamedFile(file, renames.toCompvis, name)
    for (const tensor of back.tensors.keys())
      assert.deepEqual((await back.read(tensor)).bytes, (await model.weights.read(prefix + tensor)).bytes)
    await file.close()
  }
})

test('what diffusers has no words for is refused by name', async () => {
  const config = tinyConfig()
  const model = await opened({ ...config, unet_config: { ...config.unet_config!, pooled_context: true } })
  await assert.rejects(
    writeDiffusers(model, join(folder, 'none')),
    (error: Error) => error instanceof LatentkitError && /pooled_context/.test(error.message),
  )
})
