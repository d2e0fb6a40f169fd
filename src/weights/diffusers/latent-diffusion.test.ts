import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { firstStageConfig } from '../../autoencoder/config.js'
import { decodeFirstStage } from '../../autoencoder/first-stage.js'
import { openModelFile } from '../../pipelines/loading/model-file.js'
import { FileError } from '../../platform/errors.js'
import { type Device, hostTensor, openDevice } from '../../runtime/index.js'
import { type Program, trace } from '../../tensor/program.js'
import { f32, i64 } from '../../tensor/tensor.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { textEncoder, textEncoderConfig } from '../../text/encoder.js'
import { unetConfig } from '../../unet/config.js'
import { unet } from '../../unet/unet.js'
import { fromFloat32, type TensorData } from '../dtypes.js'
import { encodeSafetensors } from '../safetensors.js'
import { readStored, stackedRows, storedTensors } from '../stored.js'
import type { StoredTensor } from '../tensor-file.js'
import { encodeTorchFile } from '../torch/write.js'
import { joinedAttention, splitAttention } from './attention-rows.js'
import { bertFromDiffusers, bertRenames, bertToDiffusers } from './bert.js'
import { firstStageFromDiffusers } from './first-stage.js'
import type { Renames } from './module-names.js'
import { plainUnetFromDiffusers, plainUnetToDiffusers } from './plain-unet.js'
import { unetRenames } from './unet-names.js'

/** Of a network of diffusers 0.36: configuration, shapes, and what it made of waves, weights and input alike. */
interface Fixture {
  readonly config: Record<string, unknown>
  readonly tensors: Record<string, readonly number[]>
  readonly output: readonly number[]
}
let fixtures: Record<'plain' | 'resized' | 'codes' | 'bert', Fixture>
let device: Device
before(async () => {
  const url = new URL('../../../fixtures/weights/diffusers/latent-diffusion.json', import.meta.url)
  fixtures = JSON.parse(await readFile(url, 'utf8'))
  device = await openDevice('cpu', { threads: 1 })
})
after(() => device.dispose())

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1)

/** The weights that the fixtures were made with: a wave of another length for each tensor, around 1 in norms. */
function weightsOf({ tensors }: Fixture): Map<string, TensorData> {
  return new Map(
    Object.entries(tensors).map(([name, shape], i) => {
      const fan = sizeOf(shape) / shape[0]!
      const values = Float32Array.from({ length: sizeOf(shape) }, (_, j) => {
        const wave = Math.sin(j * (1.3 + i * 0.01) + i) / Math.sqrt(fan)
        return name.includes('norm') && name.endsWith('weight') ? wave * 0.1 + 1 : wave
      })
      return [name, fromFloat32(values, shape)]
    }),
  )
}

const wave = (shape: readonly number[], start: number) =>
  hostTensor(
    Float32Array.from({ length: sizeOf(shape) }, (_, j) => Math.sin(j * 0.7 + start)),
    shape,
  )

/** A network's tensors by CompVis' names. */
function renamed(fixture: Fixture, { toCompvis }: Renames): Map<string, StoredTensor> {
  const weights = weightsOf(fixture)
  const file = { name: 'theirs', tensors: weights, read: async (name: string) => weights.get(name)! }
  return new Map(
    [...storedTensors(file)].map(([name, tensor]) => {
      const to = toCompvis(name, tensor.shape)
      assert.ok(to, name)
      return [to.name, { ...tensor, shape: to.shape }]
    }),
  )
}

async function holds(
  { output }: Fixture,
  program: Program,
  tensors: Map<string, StoredTensor>,
  inputs: Parameters<Awaited<ReturnType<Device['compile']>>>[0],
) {
  const wanted = Object.fromEntries(program.parameters.map(({ name, shape }) => [name, shape]))
  for (const [name, shape] of Object.entries(wanted)) assert.deepEqual(tensors.get(name)?.shape, shape, name)
  await using run = await device.compile(program, {
    weights: { tensors, read: async name => readStored(tensors.get(name)!) },
  })
  const out = (await run(inputs)).out!.data
  const worst = output.reduce((most, value, i) => Math.max(most, Math.abs(value - Number(out[i]))), 0)
  assert.equal(out.length, output.length)
  assert.ok(worst < 5e-5, String(worst))
}

for (const name of ['plain', 'resized'] as const)
  test(`a UNet2DModel (${name}) computes what diffusers does, and is written as it was`, async () => {
    const fixture = fixtures[name]
    const words = plainUnetFromDiffusers(fixture.config, 'unet/config.json')
    const renames = unetRenames(words)
    const tensors = joinedAttention(renamed(fixture, renames), words)
    const channels = words.in_channels
    const program = trace({ x: f32(1, channels, 8, 8), t: f32(1) }, (at, { x, t }) => ({
      out: unet(at, unetConfig.parse(words), { x, t }),
    }))
    await holds(fixture, program, tensors, { x: wave([1, channels, 8, 8], 1), t: hostTensor([321], [1]) })
    const written = plainUnetToDiffusers(unetConfig.parse(words))
    // Without its attention, a level is of the kind that says so of itself.
    assert.deepEqual(plainUnetFromDiffusers(written, 'x'), words)
    const back = [...splitAttention(tensors, words)].map(([name, { shape }]) => {
      const to = renames.toDiffusers(name, shape)!
      return [to.name, to.shape] as const
    })
    assert.deepEqual(Object.fromEntries(back.sort(([a], [b]) => (a < b ? -1 : 1))), fixture.tensors)
    const [first] = [...tensors].find(([name]) => name.endsWith('qkv.weight'))!
    const parts = splitAttention(tensors, words)
    const again = joinedAttention(parts, words).get(first)!
    assert.deepEqual((await readStored(again)).bytes, (await readStored(tensors.get(first)!)).bytes)
  })

test('a VQModel decodes as diffusers does', async () => {
  const { words, scaleFactor, renames } = firstStageFromDiffusers(fixtures.codes.config, 'vqvae/config.json')
  assert.equal(scaleFactor, 0.18215)
  const { scaling_factor: _, ...unsaid } = fixtures.codes.config
  assert.equal(firstStageFromDiffusers(unsaid, 'vqvae/config.json').scaleFactor, undefined)
  const program = trace({ z: f32(1, 3, 8, 8) }, (at, { z }) => ({
    out: decodeFirstStage(at, firstStageConfig.parse(words), z),
  }))
  await holds(fixtures.codes, program, renamed(fixtures.codes, renames), { z: wave([1, 3, 8, 8], 2) })
})

test('LDMBertModel computes what diffusers does', async () => {
  const words = bertFromDiffusers(fixtures.bert.config, 'bert/config.json')
  assert.deepEqual(bertFromDiffusers(bertToDiffusers(words), 'x'), words)
  const tokens = BigInt64Array.of(1n, 5n, 39n, 2n, 0n, 0n, 0n, 0n)
  const program = trace({ tokens: i64(1, 8) }, (at, { tokens }) => ({
    out: textEncoder(at, textEncoderConfig.parse(words), tokens),
  }))
  await holds(fixtures.bert, program, renamed(fixtures.bert, bertRenames(words)), {
    tokens: { dtype: 'i64', shape: [1, 8], data: tokens },
  } as never)
})

const folder = await temporaryFolder()
async function written(path: string, bytes: Uint8Array | object): Promise<void> {
  const at = join(folder, path)
  await mkdir(dirname(at), { recursive: true })
  await writeFile(at, bytes instanceof Uint8Array ? bytes : JSON.stringify(bytes))
}

test('a folder of LDMPipeline, its names from before diffusers 0.17, is latent diffusion without conditions', async () => {
  const { plain, codes } = fixtures
  const old = { to_q: 'query', to_k: 'key', to_v: 'value', 'to_out.0': 'proj_attn' }
  const renamed = new Map(
    [...weightsOf(plain)].map(([name, tensor]) => [
      Object.entries(old).reduce((name, [now, then]) => name.replace(`.${now}.`, `.${then}.`), name),
      tensor,
    ]),
  )
  await written('ldm/model_index.json', {
    _class_name: 'LDMPipeline',
    unet: ['diffusers', 'UNet2DModel'],
    vqvae: ['diffusers', 'VQModel'],
    scheduler: ['diffusers', 'DDIMScheduler'],
  })
  await written('ldm/unet/config.json', plain.config)
  await written('ldm/unet/diffusion_pytorch_model.bin', encodeTorchFile(Object.fromEntries(renamed)))
  const { scaling_factor: _, ...config } = codes.config
  await written('ldm/vqvae/config.json', config)
  await written('ldm/vqvae/diffusion_pytorch_model.fp16.safetensors', encodeSafetensors(weightsOf(codes)))
  const scheduler = { beta_start: 0.0015, beta_end: 0.0195, beta_schedule: 'scaled_linear' }
  await written('ldm/scheduler/scheduler_config.json', scheduler)
  const { origin, info, weights, close } = await openModelFile(join(folder, 'ldm'))
  assert.equal(origin?.family?.name, 'ldm-unconditional')
  const { scale_factor, unet_config, first_stage_config, diffusion } = info.config as Record<string, Fixture['config']>
  assert.deepEqual(
    [scale_factor, unet_config!.num_head_channels, first_stage_config!.n_embed, diffusion!.linear_end],
    [1, 16, 24, 0.0195],
  )
  assert.deepEqual(weights.get('model.diffusion_model.middle_block.1.qkv.weight')?.shape, [192, 64, 1])
  await close()
  await written('ldm/unet/config.json', { ...plain.config, attention_head_dim: 24 })
  await assert.rejects(openModelFile(join(folder, 'ldm')), /over 64 channels, which do not divide into heads of 24/)
  await written('ldm/unet/config.json', { ...plain.config, down_block_types: ['DownBlock2D', 'KDownBlock2D'] })
  await assert.rejects(openModelFile(join(folder, 'ldm')), /config\.json: cannot be used as the config of a UNet/)
})

test('a folder of a first stage alone is one; that of another network tells what is wanted', async () => {
  await written('stage/config.json', fixtures.codes.config)
  await written('stage/diffusion_pytorch_model.safetensors', encodeSafetensors(weightsOf(fixtures.codes)))
  const { origin, info, close } = await openModelFile(join(folder, 'stage'))
  assert.equal(origin?.family?.name, 'autoencoder-vq')
  assert.equal((info.config.first_stage_config as Fixture['config']).n_embed, 24)
  await close()
  await written('stage/config.json', fixtures.plain.config)
  await assert.rejects(
    openModelFile(join(folder, 'stage')),
    /holds one network, of class "UNet2DModel"; wanted is the folder with model_index\.json/,
  )
})

test('attention whose parts do not fit is refused', async () => {
  const part = (shape: number[]): StoredTensor => {
    const data = fromFloat32(new Float32Array(sizeOf(shape)), shape)
    return storedTensors({ name: 'f', tensors: new Map([['t', data]]), read: async () => data }).get('t')!
  }
  const refused = (k: StoredTensor | undefined) => () =>
    joinedAttention(new Map([['a.qkv.q.weight', part([4, 4, 1])], ...(k ? [['a.qkv.k.weight', k] as const] : [])]), {
      num_heads: 2,
    })
  assert.throws(refused(part([4, 2, 1])), FileError)
  assert.throws(refused(undefined), /has no keys and values/)
  assert.deepEqual(stackedRows([part([1, 2]), part([2, 2])]).shape, [3, 2])
})
