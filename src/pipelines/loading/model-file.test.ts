import assert from 'node:assert/strict'
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { decodeTaesd, encodeTaesd } from '../../autoencoder/taesd.js'
import { trace } from '../../tensor/program.js'
import { f32, i64 } from '../../tensor/tensor.js'
import { tinyWeights } from '../../testing/checkpoint.js'
import { published } from '../../testing/published.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { clipText, clipTextConfig, clipTextProjection } from '../../text/encoder-clip.js'
import { encodeCheckpoint } from '../../weights/checkpoint.js'
import {
  autoencoderRenames,
  autoencoderToDiffusers,
  unetRenames,
  unetToDiffusers,
} from '../../weights/diffusers/index.js'
import { fromFloat32, type TensorData, toFloat32 } from '../../weights/dtypes.js'
import type { Rename } from '../../weights/rename.js'
import { encodeSafetensors } from '../../weights/safetensors.js'
import { encodeHeader } from '../../weights/safetensors-header.js'
import { encodeTorchFile } from '../../weights/torch/write.js'
import { modelConfig } from '../model-config.js'
import { checkpointModel } from './checkpoint-model.js'
import { load } from './load.js'
import { openModelFile } from './model-file.js'

type Json = Record<string, unknown>
type Tensors = ReadonlyMap<string, TensorData>

const tinyOf = (family: string) => published.find(p => p.family === family)!.tiny as Record<string, Json>
const sd1 = tinyWeights(tinyOf('sd1') as Json)

const folder = await temporaryFolder()
/** What our own checkpoint paints. */
let wanted: Buffer

async function written(name: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(folder, name)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, bytes)
  return path
}

/** A picture, at the size that takes the least time. */
async function picture(from: string): Promise<Buffer> {
  await using model = await load(from, { threads: 1 })
  const image = await model.generate('a red car', { steps: 2, seed: 3, width: 64, height: 64 }).image()
  return Buffer.from(image.data)
}

test('a picture of another tool’s checkpoint is that of the same model in ours, to the bit', async () => {
  const theirs = await written('theirs.ckpt', encodeTorchFile({ state_dict: Object.fromEntries(sd1) }))
  const { info, close } = await openModelFile(theirs)
  await close()
  const ours = await written('ours.safetensors', encodeCheckpoint({ info, weights: sd1 }))
  wanted = await picture(ours)
  assert.deepEqual(await picture(theirs), wanted)
})

test('weights of float16 and bfloat16 are widened', async () => {
  for (const dtype of ['F16', 'BF16'] as const) {
    const name = 'first_stage_model.quant_conv.weight'
    const weights = new Map([...sd1].map(([name, t]) => [name, fromFloat32(toFloat32(t), t.shape, dtype)]))
    const checkpoint = await openModelFile(encodeSafetensors(weights))
    checkpointModel(checkpoint)
    const [half, full] = [toFloat32(await checkpoint.read(name)), toFloat32(sd1.get(name)!)]
    const tolerance = dtype === 'F16' ? 2 ** -11 : 2 ** -8
    assert.ok(half.every((value, i) => Math.abs(value - full[i]!) <= tolerance * Math.abs(full[i]!)))
  }
})

test('what has no place is listed, what is missing is refused by its name', async () => {
  const extra = fromFloat32(new Float32Array(3), [3])
  const more = new Map([
    ...sd1,
    ['model.diffusion_model.strange.weight', extra],
    ['first_stage_model.loss.logvar', extra],
    ['cond_stage_model.transformer.text_model.embeddings.position_ids', extra],
  ])
  const { unplaced, unneeded } = checkpointModel(await openModelFile(encodeSafetensors(more)))
  assert.deepEqual(unplaced, ['model.diffusion_model.strange.weight'])
  assert.deepEqual(unneeded, { 'what the first stage was trained with': 1, 'numbers of positions': 1 })
  const less = new Map([...sd1].filter(([name]) => name !== 'first_stage_model.decoder.mid.block_1.norm1.bias'))
  await assert.rejects(
    async () => checkpointModel(await openModelFile(encodeSafetensors(less))),
    /"first_stage_model\.decoder\.mid\.block_1\.norm1\.bias" is missing \(wanted \[32\]\)/,
  )
})

test('a file of more than 4 GB is read in place', async () => {
  // The first 5 GB are a hole that takes no room on the disk.
  const hole = { dtype: 'U8', shape: [5 * 2 ** 30] } as const
  let at = hole.shape[0]!
  const entries = [...sd1].map(([name, { dtype, shape, bytes }]) => {
    const begin = at
    at += bytes.length
    return [name, { dtype, shape: [...shape], offsets: [begin, at] }] as const
  })
  const first = ['hole', { dtype: hole.dtype, shape: [...hole.shape], offsets: [0, hole.shape[0]!] }] as const
  const header = encodeHeader([first, ...entries], new Map())
  const path = join(folder, 'large.safetensors')
  const file = await open(path, 'w')
  await file.truncate(header.length + at)
  await file.write(header, 0, header.length, 0)
  for (const [name, { offsets }] of entries) {
    const { bytes } = sd1.get(name)!
    await file.write(bytes, 0, bytes.length, header.length + offsets[0]!)
  }
  await file.close()
  assert.deepEqual(await picture(path), wanted)
  const checkpoint = await openModelFile(path)
  assert.deepEqual(checkpointModel(checkpoint).unplaced, ['hole'])
  await checkpoint.close()
})

/** The tensors of one network by the names of diffusers. */
function theirs(weights: Tensors, prefix: string, rename: Rename): Map<string, TensorData> {
  const own = [...weights].filter(([name]) => name.startsWith(prefix))
  return new Map(
    own.map(([name, tensor]) => {
      const renamed = rename(name.slice(prefix.length), tensor.shape)!
      return [renamed.name, { ...tensor, shape: renamed.shape }]
    }),
  )
}
const same: Rename = (name, shape) => ({ name, shape })

const huggingFace = { hidden_act: 'quick_gelu', num_attention_heads: 2 }

/** The files of a folder of diffusers: everything but the weights of its UNet, and its text encoders. */
async function writeFolder(
  name: string,
  tiny: Record<string, Json>,
  weights: Tensors,
  scheduler: Json,
  more: Json = {},
) {
  const { ddconfig, embed_dim } = tiny.first_stage_config as never as Parameters<typeof autoencoderToDiffusers>[0]
  const scale = tiny.scale_factor as never as number
  const json = (path: string, value: unknown) => written(join(name, path), JSON.stringify(value))
  const { unet_config } = modelConfig.parse(tiny)
  const words = unetToDiffusers(unet_config as never, unet_config!.adm_in_channels ? 256 : undefined)
  await json('unet/config.json', words)
  await json('vae/config.json', autoencoderToDiffusers({ ddconfig, embed_dim }, scale))
  await json('scheduler/scheduler_config.json', scheduler)
  await json('model_index.json', {
    _class_name: 'StableDiffusionPipeline',
    unet: ['diffusers', 'UNet2DConditionModel'],
    vae: ['diffusers', 'AutoencoderKL'],
    text_encoder: ['transformers', 'CLIPTextModel'],
    tokenizer: ['transformers', 'CLIPTokenizer'],
    scheduler: ['diffusers', 'PNDMScheduler'],
    safety_checker: [null, null],
    ...more,
  })
  const vae = theirs(weights, 'first_stage_model.', autoencoderRenames(ddconfig).toDiffusers)
  const half = new Map([...vae].map(([name, t]) => [name, fromFloat32(toFloat32(t), t.shape, 'F16')]))
  await written(`${name}/vae/diffusion_pytorch_model.fp16.safetensors`, encodeSafetensors(half))
  return theirs(weights, 'model.diffusion_model.', unetRenames(tiny.unet_config as never).toDiffusers)
}

async function writeEncoder(part: string, config: Json, weights: Tensors): Promise<void> {
  await written(`${part}/config.json`, JSON.stringify(config))
  await written(`${part}/pytorch_model.bin`, encodeTorchFile(Object.fromEntries(weights)))
}
const clipOf = (weights: Tensors, prefix = 'cond_stage_model.transformer.') => theirs(weights, prefix, same)

const scheduler = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: 'scaled_linear', steps_offset: 1 }

test('a folder of diffusers, its UNet in two files, a variant of its autoencoder, a pickle of its text encoder', async () => {
  const tiny = tinyOf('sd1')
  const unet = [...(await writeFolder('folder', tiny, sd1, { ...scheduler, prediction_type: 'v_prediction' }))]
  await writeEncoder('folder/text_encoder', huggingFace, clipOf(sd1))
  const shards = { 'a.safetensors': unet.slice(0, 20), 'b.safetensors': unet.slice(20) }
  for (const [file, tensors] of Object.entries(shards))
    await written(`folder/unet/${file}`, encodeSafetensors(new Map(tensors)))
  const weight_map = Object.fromEntries(
    Object.entries(shards).flatMap(([file, tensors]) => tensors.map(([name]) => [name, file])),
  )
  const index = 'folder/unet/diffusion_pytorch_model.safetensors.index.json'
  await written(index, JSON.stringify({ weight_map }))
  const checkpoint = await openModelFile(join(folder, 'folder'))
  const { config, unplaced } = checkpointModel(checkpoint)
  assert.deepEqual(unplaced, [])
  assert.equal(checkpoint.origin?.family?.name, 'sd1')
  const { conditioning, ...rest } = modelConfig.parse(tiny)
  const { conditioning: found, ...others } = config
  assert.deepEqual(others, {
    ...rest,
    unet_config: { ...rest.unet_config, attention_resolutions: [1, 2, 4], legacy: false },
    diffusion: { ...rest.diffusion, parameterization: 'v' },
  })
  assert.deepEqual(found, { clip_text: { ...conditioning!.clip_text, num_attention_heads: 2 } })
  assert.deepEqual([...checkpoint.weights.keys()].sort(), [...sd1.keys()].sort())
  const name = 'model.diffusion_model.input_blocks.1.1.proj_in.weight'
  assert.deepEqual(await checkpoint.read(name), sd1.get(name))
  await checkpoint.close()
})

/** A text encoder by the names of Hugging Face, of another width than that of the tiny models. */
const tower = (width: number, layers: number, projection?: number): Map<string, TensorData> => {
  const words = { vocab_size: 49408, hidden_size: width, intermediate_size: 8, num_hidden_layers: layers }
  const config = clipTextConfig.parse({ ...words, num_attention_heads: 1, max_position_embeddings: 77 })
  const { parameters } = trace({ tokens: i64(1, 77) }, (at, { tokens }) => {
    const { last, pooled } = clipText(at, config, tokens)
    return { last, pooled: projection ? clipTextProjection(at, pooled, projection) : pooled }
  })
  return new Map(parameters.map(({ name, shape }) => [name, filled(shape, 0)]))
}

const filled = (shape: readonly number[], value: number): TensorData =>
  fromFloat32(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value), shape)

test('folders of Stable Diffusion 2 and XL: their text encoders have the names of Hugging Face', async () => {
  const second = tinyOf('sd2')
  const sd2 = await writeFolder('sd2', second, tinyWeights(second as Json), {
    ...scheduler,
    prediction_type: 'v_prediction',
  })
  await written('sd2/unet/diffusion_pytorch_model.safetensors', encodeSafetensors(sd2))
  await writeEncoder('sd2/text_encoder', { hidden_act: 'gelu', num_attention_heads: 1 }, tower(24, 2))
  const two = await openModelFile(join(folder, 'sd2', 'model_index.json'))
  assert.equal(two.origin?.family?.name, 'sd2-v')
  const { clip_text } = checkpointModel(two).config.conditioning!
  const { layer, padding, hidden_act } = clip_text as Json
  assert.deepEqual({ layer, padding, hidden_act }, { layer: 'last', padding: 'zero', hidden_act: 'gelu' })
  await two.close()

  const both = tinyOf('sdxl')
  const more = {
    _class_name: 'StableDiffusionXLPipeline',
    text_encoder_2: ['transformers', 'CLIPTextModelWithProjection'],
  }
  const sdxl = await writeFolder('sdxl', both, tinyWeights(both as Json), scheduler, more)
  await written('sdxl/unet/diffusion_pytorch_model.safetensors', encodeSafetensors(sdxl))
  await writeEncoder('sdxl/text_encoder', { ...huggingFace, num_attention_heads: 1 }, tower(16, 2))
  await writeEncoder('sdxl/text_encoder_2', { hidden_act: 'gelu', num_attention_heads: 1 }, tower(24, 2, 24))
  const xl = await openModelFile(join(folder, 'sdxl'))
  assert.equal(xl.origin?.family?.name, 'sdxl')
  const { config, unplaced } = checkpointModel(xl)
  assert.deepEqual(unplaced, [])
  const { embedders } = config.conditioning!.clip_text as { embedders: Json[] }
  assert.deepEqual(
    embedders.map(({ pooled, normalised, layer, projection_dim }) => ({ pooled, normalised, layer, projection_dim })),
    [
      { pooled: false, normalised: false, layer: 'penultimate', projection_dim: undefined },
      { pooled: true, normalised: false, layer: 'penultimate', projection_dim: 24 },
    ],
  )
  await xl.close()
})

test('an autoencoder that diffusers wrote is one by itself', async () => {
  const { ddconfig } = tinyOf('sd1').first_stage_config as never as {
    ddconfig: Parameters<typeof autoencoderRenames>[0]
  }
  const vae = theirs(sd1, 'first_stage_model.', autoencoderRenames(ddconfig).toDiffusers)
  const { origin, info, weights } = await openModelFile(encodeSafetensors(vae))
  assert.equal(origin?.family?.name, 'autoencoder-kl')
  assert.deepEqual(info.config, { first_stage_config: tinyOf('sd1').first_stage_config })
  const names = [...sd1.keys()].filter(name => name.startsWith('first_stage_model.'))
  assert.deepEqual([...weights.keys()].sort(), names.sort())
  assert.deepEqual(weights.get('first_stage_model.encoder.mid.attn_1.q.weight')!.shape, [32, 32, 1, 1])
})

test('a folder without weights for a network, or with another network, is refused with its place', async () => {
  await assert.rejects(openModelFile(folder), /is a folder without model_index\.json; wanted is one of diffusers/)
  const tiny = tinyOf('sd1')
  const unet = await writeFolder('poor', tiny, sd1, scheduler)
  await assert.rejects(
    openModelFile(join(folder, 'poor')),
    /poor.unet: holds no weights: wanted is diffusion_pytorch_model/,
  )
  await written('poor/unet/diffusion_pytorch_model.safetensors', encodeSafetensors(unet))
  await writeEncoder('poor/text_encoder', huggingFace, clipOf(sd1))
  await written('poor/text_encoder/config.json', '{')
  await assert.rejects(openModelFile(join(folder, 'poor')), /poor.text_encoder.config\.json: is no JSON/)
  await written(
    'poor/model_index.json',
    '{"_class_name": "X", "unet": ["diffusers", "UNet1D"], "vae": ["diffusers", "V"]}',
  )
  await assert.rejects(
    openModelFile(join(folder, 'poor')),
    /has a unet of class "UNet1D"; readable is UNet2DConditionModel/,
  )
})

test('a configuration is named, or lies in a YAML file', async () => {
  const bytes = encodeSafetensors(sd1)
  const yaml = await written(
    'v.yaml',
    'model: {params: {linear_start: 0.001, denoiser_config: {target: x, params: {scaling_config: {target: sgm.VScaling}}}}}',
  )
  const { info } = await openModelFile(bytes, { config: yaml })
  assert.deepEqual(info.config.diffusion, {
    parameterization: 'v',
    timesteps: 1000,
    beta_schedule: 'linear',
    linear_start: 0.001,
    linear_end: 0.012,
  })
  await written('beside.yaml', await readFile(yaml))
  const beside = await openModelFile(await written('beside.safetensors', bytes))
  await beside.close()
  assert.deepEqual(beside.info.config, info.config)
  await assert.rejects(openModelFile(bytes, { config: 'sd3' }), /no family of models called "sd3"/)
})

test("the vocabularies that come along are CLIP's and BERT's", async () => {
  for (const [family, kind] of [
    ['sd1', 'clip'],
    ['ldm-text', 'bert'],
  ] as const) {
    const weights = family === 'sd1' ? sd1 : tinyWeights(tinyOf(family) as Json)
    const checkpoint = await openModelFile(encodeSafetensors(weights))
    assert.equal(JSON.parse(checkpoint.info.vocabulary!).kind, kind)
    const { conditions, config } = checkpointModel(checkpoint)
    const place = { width: 256, height: 256, latents: [4, 32, 32] } as const
    const { positive } = conditions.ofRequest(
      { prompt: 'a photo of a cat', negativePrompt: '' },
      place,
      undefined as never,
    )
    assert.ok(config.conditioning)
    const ids = Array.from(positive.tokens!).slice(0, 7)
    const known = { clip: [49406, 320, 1125, 539, 320, 2368, 49407], bert: [101, 1037, 6302, 1997, 1037, 4937, 102] }
    assert.deepEqual(ids, known[kind])
  }
})

test('TAESD: with one of its two files the other is opened as well', async () => {
  const config = { latent_channels: 16, width: 8, use_midblock_gn: false }
  const images = f32(1, 3, 16, 16)
  const { parameters } = trace({ images }, (at, { images }) => ({
    images: decodeTaesd(at('decoder'), config, encodeTaesd(at('encoder'), config, images)),
  }))
  for (const half of ['encoder', 'decoder']) {
    const own = parameters.filter(({ name }) => name.startsWith(half))
    const tensors = own.map(({ name, shape }, i) => [name.slice(half.length + 1), filled(shape, i)] as const)
    await written(`taesd3_${half}.safetensors`, encodeSafetensors(new Map(tensors)))
  }
  for (const half of ['encoder', 'decoder']) {
    const { origin, info, weights, read, close } = await openModelFile(join(folder, `taesd3_${half}.safetensors`))
    assert.equal(origin?.family?.name, 'taesd')
    assert.deepEqual(info.config, { first_stage_config: config })
    assert.deepEqual([...weights.keys()].sort(), parameters.map(({ name }) => `first_stage_model.${name}`).sort())
    assert.deepEqual(toFloat32(await read('first_stage_model.decoder.1.bias')), new Float32Array(8).fill(1))
    await close()
  }
  await rm(join(folder, 'taesd3_encoder.safetensors'))
  const alone = await openModelFile(join(folder, 'taesd3_decoder.safetensors'))
  assert.ok([...alone.weights.keys()].every(name => name.startsWith('first_stage_model.decoder.')))
  await alone.close()
})
