import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { LatentkitError } from '../../platform/errors.js'
import { tinyWeights } from '../../testing/checkpoint.js'
import { published } from '../../testing/published.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { tinyCheckpoint } from '../../testing/tiny-model.js'
import { fromFloat32, toFloat32 } from '../../weights/dtypes.js'
import { encodeSafetensors } from '../../weights/safetensors.js'
import { openModelFile } from '../loading/model-file.js'
import { modelConfig } from '../model-config.js'
import { convert } from './index.js'
import { pipelineOf } from './pipeline.js'

const folder = await temporaryFolder()

/** The weights of a model, as float32. */
async function weightsAt(path: string | Uint8Array): Promise<Map<string, Float32Array>> {
  const checkpoint = await openModelFile(path)
  const weights = new Map<string, Float32Array>()
  for (const name of checkpoint.weights.keys()) weights.set(name, toFloat32(await checkpoint.read(name)))
  await checkpoint.close()
  return weights
}

const tinyOf = (name: string) => encodeSafetensors(tinyWeights(published.find(({ family }) => family === name)!.tiny))

for (const family of ['sd2', 'sdxl'])
  test(`${family}: a folder of diffusers has the same weights and is known again`, async () => {
    const bytes = tinyOf(family)
    const weights = await weightsAt(bytes)
    const path = join(folder, family)
    await convert(bytes, path)
    const [before, after] = [await openModelFile(bytes), await openModelFile(path)]
    assert.equal(after.origin?.family?.name, before.origin?.family?.name)
    for (const word of ['diffusion', 'scale_factor'] as const)
      assert.deepEqual(modelConfig.parse(after.info.config)[word], modelConfig.parse(before.info.config)[word])
    for (const [name] of after.weights)
      assert.ok(same(toFloat32(await after.read(name)), expected(name, weights)), name)
    await after.close()
  })

for (const family of ['sd1', 'ldm-class'])
  test(`${family}: the same weights and configuration in every format of one file`, async () => {
    const bytes = tinyOf(family)
    const weights = await weightsAt(bytes)
    const before = await openModelFile(bytes)
    for (const [format, path] of [
      ['compvis', 'model.safetensors'],
      ['ckpt', 'model.ckpt'],
      ['gguf', 'model.gguf'],
      ['latentkit', 'own.safetensors'],
    ] as const) {
      const at = join(folder, family, path)
      await convert(bytes, at, { format })
      const after = await openModelFile(at)
      assert.equal(after.origin?.family?.name, format === 'latentkit' ? undefined : family)
      assert.deepEqual(after.info.config, before.info.config, format)
      await after.close()
      const written = await weightsAt(at)
      assert.deepEqual([...written.keys()].sort(), [...weights.keys()].sort())
      for (const [name, values] of written) assert.ok(same(values, weights.get(name)), `${format} ${name}`)
    }
  })

test('each kind of model is for the pipeline of diffusers that is made for it', () => {
  const names = published.flatMap(({ config }) => {
    const model = modelConfig.parse(config)
    return model.conditioning?.clip_text ? [pipelineOf(model, {}).index._class_name] : []
  })
  assert.deepEqual(names, [
    'StableDiffusionPipeline',
    'StableDiffusionInpaintPipeline',
    'StableDiffusionPipeline',
    'StableDiffusionInpaintPipeline',
    'StableDiffusionDepth2ImgPipeline',
    'StableDiffusionUpscalePipeline',
    'StableDiffusionXLPipeline',
    'StableDiffusionXLInpaintPipeline',
    'StableDiffusionXLImg2ImgPipeline',
  ])
})

for (const family of ['ldm-class', 'ldm-layout', 'ldm-semantic', 'ldm-inpainting', 'rdm'])
  test(`${family}: diffusers has no pipeline that tells the network what it is conditioned on`, async () => {
    await assert.rejects(
      convert(tinyOf(family), join(folder, 'untold')),
      (error: Error) =>
        error instanceof LatentkitError && /it has no pipeline for a model of latent/.test(error.message),
    )
    assert.ok(!(await readdir(folder)).includes('untold'))
  })

const same = (a: Float32Array, b: Float32Array | undefined) =>
  a.length === b?.length && a.every((value, i) => Object.is(value, b[i]))

const halves = { q_proj: 0, k_proj: 1, v_proj: 2 } as const

/** The values of a tensor that may be called as transformers has it, by a file that may have OpenCLIP's names. */
function expected(name: string, weights: ReadonlyMap<string, Float32Array>): Float32Array | undefined {
  const own = weights.get(name)
  if (own) return own
  const [, root, rest] = /^(.*)\.transformer\.(.*)$/.exec(name)!
  const at = `${root}.model.`
  const attention = /^text_model\.encoder\.layers\.(\d+)\.self_attn\.([qkv]_proj)\.(weight|bias)$/.exec(rest!)
  if (attention) {
    const whole = weights.get(`${at}transformer.resblocks.${attention[1]}.attn.in_proj_${attention[3]}`)!
    const third = whole.length / 3
    const i = halves[attention[2] as keyof typeof halves]
    return whole.slice(i * third, (i + 1) * third)
  }
  if (rest === 'text_projection.weight') {
    const projection = weights.get(`${at}text_projection`)!
    const side = Math.sqrt(projection.length)
    return projection.map((_, i) => projection[(i % side) * side + Math.floor(i / side)]!)
  }
  const renamed = rest!
    .replace('text_model.embeddings.token_embedding', 'token_embedding')
    .replace('text_model.embeddings.position_embedding.weight', 'positional_embedding')
    .replace('text_model.final_layer_norm', 'ln_final')
    .replace('text_model.encoder.layers.', 'transformer.resblocks.')
    .replace('layer_norm', 'ln_')
    .replace('self_attn.out_proj', 'attn.out_proj')
    .replace('mlp.fc1', 'mlp.c_fc')
    .replace('mlp.fc2', 'mlp.c_proj')
  return weights.get(at + renamed)
}

test('weights are written in the type that is asked for, and read again within its precision', async () => {
  const bytes = tinyOf('ldm-class')
  const weights = await weightsAt(bytes)
  // Half a step of each type, of the largest number in a block; a whole one where the largest has no level of its own.
  const steps = {
    f16: 2 ** -11,
    bf16: 2 ** -8,
    q8_0: 1 / 254,
    q5_1: 1 / 30,
    q5_0: 1 / 15,
    q4_1: 1 / 14,
    q4_0: 1 / 7,
  } as const
  for (const [dtype, step] of Object.entries(steps) as [keyof typeof steps, number][]) {
    const path = join(folder, `${dtype}.gguf`)
    await convert(bytes, path, { dtype })
    const written = await weightsAt(path)
    for (const [name, values] of weights) {
      const most = values.reduce((m, v) => Math.max(m, Math.abs(v)), 0)
      const worst = written.get(name)!.reduce((m, v, i) => Math.max(m, Math.abs(v - values[i]!)), 0)
      assert.ok(worst <= most * (step + 2 ** -11), `${dtype} ${name}: ${worst / most}`)
    }
    if (dtype.startsWith('q'))
      await assert.rejects(convert(bytes, join(folder, 'x.safetensors'), { dtype }), /as GGUF alone/)
  }
  await convert(bytes, join(folder, 'half.ckpt'), { dtype: 'f16' })
  const checkpoint = await openModelFile(join(folder, 'half.ckpt'))
  assert.ok([...checkpoint.weights.values()].every(({ dtype }) => dtype === 'F16'))
  await checkpoint.close()
})

test('what latentkit trained goes into its own format and GGUF with its configuration', async () => {
  const bytes = tinyCheckpoint()
  const before = await openModelFile(bytes)
  for (const [path, format] of [
    ['mine.safetensors', 'latentkit'],
    ['mine.gguf', 'gguf'],
  ] as const) {
    await convert(bytes, join(folder, path), { format })
    const after = await openModelFile(join(folder, path))
    assert.deepEqual(after.info, before.info)
    for (const name of before.weights.keys())
      assert.deepEqual(toFloat32(await after.read(name)), toFloat32(await before.read(name)), name)
    await after.close()
  }
})

test('a first stage alone is written by the names of its own files', async () => {
  const weights = [...tinyWeights(published[0]!.tiny)].filter(([name]) => name.startsWith('first_stage_model.'))
  const bytes = encodeSafetensors(new Map(weights))
  await convert(bytes, join(folder, 'vae.safetensors'))
  const checkpoint = await openModelFile(join(folder, 'vae.safetensors'))
  assert.equal(checkpoint.weights.size, weights.length)
  await checkpoint.close()
  await assert.rejects(convert(bytes, join(folder, 'vae'), { loras: [{ file: bytes }] }), /no adapter changes/)
  await convert(bytes, join(folder, 'vae'))
  assert.deepEqual((await readdir(join(folder, 'vae'))).sort(), ['config.json', 'diffusion_pytorch_model.safetensors'])
  for (const [name, values] of await weightsAt(join(folder, 'vae')))
    assert.deepEqual(values, toFloat32(weights.find(([other]) => other === name)![1]), name)
})

test('numbers beyond float16, and names of other formats, are refused', async () => {
  const tensors = tinyWeights(published[0]!.tiny)
  tensors.set('model.diffusion_model.out.2.bias', fromFloat32(Float32Array.of(1, 2, 3, 1e6), [4]))
  const bytes = encodeSafetensors(tensors)
  await assert.rejects(
    convert(bytes, join(folder, 'large.safetensors'), { dtype: 'f16' }),
    /out\.2\.bias" holds numbers that float16 cannot/,
  )
  await assert.rejects(convert(bytes, join(folder, 'large.onnx')), /not written as \.onnx/)
})

test('what is no part of a network is told, and left out where a folder has no place for it', async () => {
  const tensors = tinyWeights(published[0]!.tiny)
  const extra = fromFloat32(Float32Array.of(1), [1])
  const more = ['first_stage_model.loss.logvar', 'model.diffusion_model.strange.weight', 'model_ema.decay']
  const bytes = encodeSafetensors(new Map([...tensors, ...more.map(name => [name, extra] as const)]))
  for (const path of ['more', 'more.ckpt'])
    assert.deepEqual(await convert(bytes, join(folder, path)), { unplaced: ['model.diffusion_model.strange.weight'] })
  assert.deepEqual([...(await weightsAt(join(folder, 'more'))).keys()].sort(), [...tensors.keys()].sort())
  const stage = [...tensors, [more[0]!, extra] as const].filter(([name]) => name.startsWith('first_stage_model.'))
  await convert(encodeSafetensors(new Map(stage)), join(folder, 'stage'))
  assert.equal((await weightsAt(join(folder, 'stage'))).size, stage.length - 1)
})
