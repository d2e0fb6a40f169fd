import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { openSource } from '#platform'
import { FileError } from '../platform/errors.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { type CheckpointContents, encodeCheckpoint, openCheckpoint, writeCheckpoint } from './checkpoint.js'
import { fromFloat32, type TensorData, toFloat32 } from './dtypes.js'
import { expectTensors } from './expect-tensors.js'
import { encodeSafetensors } from './safetensors.js'

const weight = fromFloat32(Float32Array.of(1, 2, 3, 4), [2, 2])
const contents: CheckpointContents<TensorData> = {
  info: {
    library: '0.1.0',
    config: { unet: { model_channels: 32 } },
    vocabulary: 'red\nheart\n',
    recipe: { rate: 1e-4 },
    data: 'abc',
    licences: 'MIT',
  },
  weights: new Map([['model.diffusion_model.time_embed.0.weight', weight]]),
  training: {
    values: { step: 7, generators: ['x'] },
    tensors: new Map([['adam.m', fromFloat32(Float32Array.of(0.5), [1])]]),
  },
}
const folder = await temporaryFolder()

test('a checkpoint comes back whole from disk and memory', async () => {
  const path = join(folder, 'model.safetensors')
  await writeCheckpoint(path, contents)
  for (const from of [path, encodeCheckpoint(contents)]) {
    const checkpoint = await openCheckpoint(await openSource(from))
    assert.deepEqual(checkpoint.info, contents.info)
    assert.deepEqual([...checkpoint.weights.keys()], ['model.diffusion_model.time_embed.0.weight'])
    assert.deepEqual([...toFloat32(await checkpoint.read('model.diffusion_model.time_embed.0.weight'))], [1, 2, 3, 4])
    assert.deepEqual(checkpoint.training?.values, contents.training?.values)
    assert.deepEqual([...toFloat32(await checkpoint.readTraining('adam.m'))], [0.5])
    const { begin, source } = checkpoint.weights.get('model.diffusion_model.time_embed.0.weight')!
    assert.deepEqual([...(await source.read(begin, 16))], [...weight.bytes])
    await checkpoint.close()
  }
})

test('weights alone make a checkpoint without training state', async () => {
  const { training: _, ...withoutTraining } = contents
  const checkpoint = await openCheckpoint(await openSource(encodeCheckpoint(withoutTraining)))
  assert.equal(checkpoint.training, undefined)
})

test('foreign, newer and damaged files are refused in words', async () => {
  const open = async (metadata: Record<string, string>) =>
    openCheckpoint(await openSource(encodeSafetensors(contents.weights, new Map(Object.entries(metadata)))))
  await assert.rejects(
    open({ format: 'pt' }),
    /no checkpoint of latentkit: it holds 1 tensors \(model\.diffusion_model/,
  )
  await assert.rejects(open({ 'latentkit.format': '2' }), /format 2, this latentkit reads format 1; update/)
  await assert.rejects(open({ 'latentkit.format': '1', 'latentkit.config': '{' }), /its config is no JSON object/)
  await assert.rejects(open({ 'latentkit.format': '1', 'latentkit.config': '{}' }), /damaged checkpoint: .*library/s)
  await assert.rejects(openCheckpoint(await openSource(new Uint8Array(100))), FileError)
})

test('a file of another architecture is refused with found and wanted', () => {
  const file = {
    name: 'sd.safetensors',
    tensors: new Map([['unet.a', { dtype: 'F32', shape: [320, 4, 3, 3] } as const]]),
  }
  expectTensors(file, new Map([['a', [320, 4, 3, 3]]]), { what: 'the UNet', prefix: 'unet.' })
  assert.throws(
    () =>
      expectTensors(
        file,
        new Map([
          ['a', [320, 9, 3, 3]],
          ['b', [1]],
        ]),
        { what: 'the UNet', prefix: 'unet.' },
      ),
    /sd\.safetensors: cannot load the UNet: "unet\.a" has shape \[320,4,3,3\], wanted \[320,9,3,3\]; of 2 tensors 1 are missing and 1 have another shape/,
  )
})
