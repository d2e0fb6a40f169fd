import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytesSource } from '../../platform/sources.js'
import { shapesOf, tinyWeights } from '../../testing/checkpoint.js'
import { published } from '../../testing/published.js'
import { fromFloat32, type TensorData, toFloat32 } from '../dtypes.js'
import { weightsOf } from '../open-weights.js'
import { encodeSafetensors } from '../safetensors.js'
import { encodeTorchFile } from '../torch/write.js'
import { type ForeignOptions, foreignCheckpoint } from './foreign.js'
import { recognise } from './recognise.js'
import { whyUnneeded } from './unneeded.js'

type Tensors = ReadonlyMap<string, TensorData>

const tinyOf = (family: string): Record<string, unknown> => ({ ...published.find(p => p.family === family)!.tiny })
const weightsOfSd1 = tinyWeights(tinyOf('sd1'))
const scalar = (value: number) => fromFloat32(Float32Array.of(value), [])

async function opened(tensors: Tensors, options: ForeignOptions = {}) {
  const file = await weightsOf(bytesSource(encodeSafetensors(tensors), 'model.safetensors'))
  return foreignCheckpoint(file, options)
}
const renamed = (tensors: Tensors, name: (name: string) => string): Map<string, TensorData> =>
  new Map([...tensors].map(([key, tensor]) => [name(key), tensor]))
const without = (tensors: Tensors, pattern: RegExp): Map<string, TensorData> =>
  new Map([...tensors].filter(([name]) => !pattern.test(name)))

test('the names of all files of a family come to the same, and so do their numbers', async () => {
  const wanted = await opened(weightsOfSd1)
  assert.equal(wanted.origin?.family?.name, 'sd1')
  const same = async (tensors: Tensors, what: string) => {
    const found = await opened(tensors)
    assert.deepEqual([...found.weights.keys()].sort(), [...wanted.weights.keys()].sort(), what)
    assert.deepEqual(found.info.config, wanted.info.config, what)
    const [name] = [...weightsOfSd1.keys()].filter(name => name.endsWith('q_proj.weight'))
    assert.deepEqual(await found.read(name!), await wanted.read(name!), what)
  }
  await same(
    renamed(weightsOfSd1, name => `state_dict.${name}`),
    'below state_dict',
  )
  await same(
    renamed(weightsOfSd1, name => name.replace('transformer.text_model.', 'transformer.')),
    'transformers 5',
  )
})

test('a pickle as Lightning writes it: state_dict beside a training state, read in place', async () => {
  const state_dict = Object.fromEntries(weightsOfSd1)
  const bytes = encodeTorchFile({ epoch: 3, state_dict, optimizer_states: { exp_avg: scalar(1) } })
  const file = await weightsOf(bytesSource(bytes, 'model.ckpt'))
  const found = await foreignCheckpoint(file)
  assert.equal(found.origin?.family?.name, 'sd1')
  assert.equal(found.weights.size, weightsOfSd1.size)
  const name = 'first_stage_model.quant_conv.weight'
  assert.deepEqual((await found.read(name)).bytes, weightsOfSd1.get(name)!.bytes)
})

test('averages take the place of the weights, unless they are not wanted', async () => {
  const name = 'model.diffusion_model.out.2.weight'
  const { shape } = weightsOfSd1.get(name)!
  const average = fromFloat32(new Float32Array(shape.reduce((a, b) => a * b)).fill(7), shape)
  const tensors = new Map([
    ...weightsOfSd1,
    ['model_ema.diffusion_modelout2weight', average],
    ['model_ema.decay', scalar(0.9999)],
  ])
  const first = async (options: ForeignOptions) => toFloat32(await (await opened(tensors, options)).read(name))[0]
  assert.equal(await first({}), 7)
  assert.notEqual(await first({ averaged: false }), 7)
  const { weights } = await opened(tensors, { averaged: false })
  assert.equal(whyUnneeded('model_ema.decay'), 'averages of training')
  assert.ok(weights.has('model_ema.decay'))
})

test('the schedule and the scale that a file keeps are its own', async () => {
  const [a, b] = [Math.sqrt(0.0015), Math.sqrt(0.0155)]
  const betas = Float32Array.from({ length: 1000 }, (_, i) => (a + ((b - a) * i) / 999) ** 2)
  const kept = new Map([
    ...tinyWeights(tinyOf('ldm-unconditional')),
    ['betas', fromFloat32(betas, [1000])],
    ['scale_factor', scalar(0.22765929)],
  ])
  const { config } = (await opened(kept)).info
  assert.equal(config.scale_factor, 0.227659)
  const { linear_start, linear_end, timesteps } = config.diffusion as Record<string, number>
  assert.deepEqual(
    { linear_start, linear_end, timesteps },
    { linear_start: 0.0015, linear_end: 0.0155, timesteps: 1000 },
  )
  // Half precision is too coarse for them: what is known of the family is better.
  const coarse = await opened(new Map(kept).set('betas', fromFloat32(betas, [1000], 'F16')))
  assert.equal((coarse.info.config.diffusion as Record<string, number>).linear_end, 0.0195)
  const odd = new Map(kept).set('betas', fromFloat32(betas.map(Math.sqrt), [1000]))
  await assert.rejects(opened(odd), /model\.safetensors: keeps a noise schedule of 1000 betas.*give its configuration/s)
})

test('Stable Diffusion 2 predicts v where the bias before its last self-attention is spread, or as it is said', async () => {
  const tensors = tinyWeights(tinyOf('sd2'))
  const bias = [...tensors.keys()].filter(name =>
    /output_blocks\.\d+\.1\.transformer_blocks\.0\.norm1\.bias$/.test(name),
  )
  const last = bias.sort((a, b) => Number(/\d+/.exec(a)![0]) - Number(/\d+/.exec(b)![0])).at(-1)!
  const spread = (deviation: number) => {
    const { shape } = tensors.get(last)!
    const values = Float32Array.from({ length: shape[0]! }, (_, i) => (i % 2 === 0 ? deviation : -deviation))
    return new Map(tensors).set(last, fromFloat32(values, shape))
  }
  const kind = async (deviation: number, options: ForeignOptions = {}) => {
    const { origin, info } = await opened(spread(deviation), options)
    const { parameterization } = info.config.diffusion as Record<string, unknown>
    return [origin?.family?.name, parameterization, (info.config.unet_config as Record<string, unknown>).image_size]
  }
  assert.deepEqual(await kind(0.08), ['sd2', 'epsilon', 64])
  assert.deepEqual(await kind(0.1), ['sd2-v', 'v', 96])
  assert.deepEqual(await kind(0.08, { config: 'sd2-v' }), ['sd2-v', 'v', 96])
})

test("stable-diffusion.cpp's names: one matrix of projections, embedders below cond_stage_model", async () => {
  const original = tinyWeights(tinyOf('sdxl'))
  // As its name_conversion.cpp has them, of OpenCLIP's tower alone.
  const words = {
    ln_final: 'text_model.final_layer_norm',
    positional_embedding: 'text_model.embeddings.position_embedding.weight',
    token_embedding: 'text_model.embeddings.token_embedding',
    'transformer.resblocks': 'text_model.encoder.layers',
    'attn.in_proj_weight': 'self_attn.in_proj.weight',
    'attn.in_proj_bias': 'self_attn.in_proj.bias',
    'attn.out_proj': 'self_attn.out_proj',
    ln_1: 'layer_norm1',
    ln_2: 'layer_norm2',
    'mlp.c_fc': 'mlp.fc1',
    'mlp.c_proj': 'mlp.fc2',
    text_projection: 'text_model.text_projection',
  }
  const cpp = renamed(original, name => {
    const second = name.replace('conditioner.embedders.1.model.', 'cond_stage_model.1.transformer.')
    if (second === name) return name.replace('conditioner.embedders.0.', 'cond_stage_model.')
    return Object.entries(words).reduce((name, [from, to]) => name.replace(from, to), second)
  })
  const { origin, info, read } = await opened(cpp)
  assert.equal(origin?.family?.name, 'sdxl')
  const { embedders } = (info.config.conditioning as { clip_text: { embedders: Record<string, unknown>[] } }).clip_text
  assert.equal(embedders[1]!.hidden_act, 'gelu')
  assert.equal(embedders[1]!.projection_dim, 24)
  const fused = original.get('conditioner.embedders.1.model.transformer.resblocks.1.attn.in_proj_weight')!
  const at = 'conditioner.embedders.1.transformer.text_model.encoder.layers.1.self_attn'
  const parts = await Promise.all(['q', 'k', 'v'].map(part => read(`${at}.${part}_proj.weight`)))
  assert.deepEqual(
    parts.map(({ shape }) => shape),
    [
      [24, 24],
      [24, 24],
      [24, 24],
    ],
  )
  assert.deepEqual(Buffer.concat(parts.map(({ bytes }) => bytes)), Buffer.from(fused.bytes))
  const projection = toFloat32(original.get('conditioner.embedders.1.model.text_projection')!)
  const turned = toFloat32(await read('conditioner.embedders.1.transformer.text_projection.weight'))
  assert.equal(turned[1], projection[24])
})

test('Stable Diffusion 2 as the code of XL has it, and an autoencoder with linear layers for its attention', async () => {
  const original = tinyWeights(tinyOf('sd2'))
  const other = renamed(original, name => name.replace('cond_stage_model.', 'conditioner.embedders.0.'))
  for (const [name, { shape, ...tensor }] of other)
    if (/attn_1\.[qkv]\.weight$/.test(name)) other.set(name, { ...tensor, shape: shape.slice(0, 2) })
  const { origin, weights } = await opened(other, { config: 'sd2' })
  assert.equal(origin?.family?.name, 'sd2')
  assert.deepEqual(
    [...weights].map(([name, { shape }]) => [name, shape]).sort(),
    [...original].map(([name, { shape }]) => [name, shape]).sort(),
  )
})

test('first stages alone, with and without the names of a whole model', async () => {
  const stageOf = (family: string) =>
    new Map([...tinyWeights(tinyOf(family))].filter(([name]) => name.startsWith('first_stage_model.')))
  for (const [family, kind] of [
    ['sd1', 'autoencoder-kl'],
    ['ldm-class', 'autoencoder-vq'],
  ] as const) {
    const inside = await opened(stageOf(family))
    const alone = await opened(
      new Map([
        ...renamed(stageOf(family), name => name.slice('first_stage_model.'.length)),
        ['loss.logvar', scalar(0)],
      ]),
    )
    assert.equal(inside.origin?.family?.name, kind)
    assert.deepEqual(alone.info, inside.info)
    assert.deepEqual(
      [...alone.weights.keys()].filter(name => whyUnneeded(name) === undefined),
      [...inside.weights.keys()],
    )
  }
})

test('a key that says that v is predicted, in Stable Diffusion XL', () => {
  const shapes = shapesOf(tinyOf('sdxl'))
  const diffusion = (keys: string[]) =>
    recognise(new Map([...shapes, ...keys.map(key => [key, { shape: [0] }] as const)]))!.config.diffusion
  const { parameterization, zero_terminal_snr } = diffusion(['v_pred', 'ztsnr']) as Record<string, unknown>
  assert.deepEqual([parameterization, zero_terminal_snr], ['v', true])
  assert.equal((diffusion([]) as Record<string, unknown>).parameterization, 'epsilon')
})

test('what is no model is refused with what it is', async () => {
  const refused = (tensors: Tensors, reason: RegExp, options: ForeignOptions = {}) =>
    assert.rejects(opened(tensors, options), error => {
      assert.match((error as Error).message, /^model\.safetensors: /)
      assert.match((error as Error).message, reason)
      return true
    })
  const one = (name: string) => new Map([[name, scalar(1)]])
  await refused(one('lora_unet_mid_block_attentions_0_proj_in.lora_up.weight'), /an adapter \(LoRA/)
  await refused(one('control_model.time_embed.0.weight'), /a ControlNet/)
  await refused(one('double_blocks.0.img_attn.norm.key_norm.scale'), /Flux/)
  await refused(one('down_blocks.0.resnets.0.conv1.weight'), /one network of a diffusers folder/)
  const stage = renamed(without(weightsOfSd1, /^(model|cond)/), name => name.slice('first_stage_model.'.length))
  await refused(without(stage, /quant_conv/), /the autoencoder of Stable Diffusion 3 or Flux/)
  await refused(one('blk.0.attn_q.weight'), /a language model/)
  await refused(one('fc.weight'), /its 1 tensors \(fc\.weight, …\) are of no network that is known/)
  await refused(
    without(weightsOfSd1, /^cond_stage_model/),
    /it holds a UNet, a first stage and lacks a text encoder \(give its file as textEncoders/,
  )
  await refused(without(weightsOfSd1, /^first_stage_model/), /is not Stable Diffusion 1: it holds no first stage/, {
    config: 'sd1',
  })
  await refused(weightsOfSd1, /no family of models called "sd-1"; did you mean/i, { config: 'sd-1' })
})

test("a configuration in the form of CompVis' YAML comes before what the tensors tell", async () => {
  const yaml = {
    model: {
      target: 'ldm.models.diffusion.ddpm.LatentDiffusion',
      params: {
        parameterization: 'v',
        linear_start: 0.001,
        linear_end: 0.01,
        timesteps: 500,
        scale_factor: 0.3,
        image_size: 32,
        unet_config: {
          target: 'ldm.modules.diffusionmodules.openaimodel.UNetModel',
          params: { ...(tinyOf('sd1').unet_config as object), num_heads: 4, image_size: 8 },
        },
        first_stage_config: {
          target: 'ldm.models.autoencoder.AutoencoderKL',
          params: {
            ...(tinyOf('sd1').first_stage_config as object),
            monitor: 'val/rec_loss',
            lossconfig: { target: 'torch.nn.Identity' },
          },
        },
        cond_stage_config: { target: 'ldm.modules.encoders.modules.FrozenCLIPEmbedder' },
      },
    },
  }
  const { config } = (await opened(weightsOfSd1, { config: yaml })).info
  const told = (await opened(weightsOfSd1)).info.config
  assert.deepEqual(config, {
    ...told,
    scale_factor: 0.3,
    first_stage_config: tinyOf('sd1').first_stage_config,
    unet_config: { ...(tinyOf('sd1').unet_config as object), num_heads: 4, image_size: 32 },
    diffusion: {
      parameterization: 'v',
      timesteps: 500,
      beta_schedule: 'linear',
      linear_start: 0.001,
      linear_end: 0.01,
    },
  })
  await assert.rejects(
    opened(weightsOfSd1, { config: { model: { params: { timesteps: 'many' } } } }),
    /its configuration cannot be used.*timesteps/s,
  )
})

test('weights in float8 are read with the scales that ComfyUI keeps beside them', async () => {
  const name = 'model.diffusion_model.input_blocks.1.1.proj_in.weight'
  const module = name.replace(/\.weight$/, '')
  const { shape } = weightsOfSd1.get(name)!
  const bytes = new Uint8Array(shape.reduce((a, b) => a * b)).map((_, i) => i % 120)
  const coarse = { dtype: 'F8_E4M3', shape, bytes } as const
  const plain = toFloat32(coarse)
  const scaled = (scale: TensorData, end = 'scale_weight') =>
    new Map<string, TensorData>([
      ...weightsOfSd1,
      [name, coarse],
      [`${module}.${end}`, scale],
      ['scaled_fp8', { dtype: 'F8_E4M3', shape: [0], bytes: new Uint8Array(0) }],
    ])
  const one = await opened(scaled(fromFloat32(Float32Array.of(0.5), [1])))
  assert.deepEqual(
    toFloat32(await one.read(name)),
    plain.map(v => v * 0.5),
  )
  assert.ok(!one.weights.has('scaled_fp8') && !one.weights.has(`${module}.scale_weight`))
  const rows = Float32Array.from({ length: shape[0]! }, (_, i) => i)
  const each = await opened(scaled(fromFloat32(rows, [shape[0]!, 1, 1, 1]), 'weight_scale'))
  const row = plain.length / rows.length
  assert.deepEqual(
    toFloat32(await each.read(name)),
    plain.map((v, i) => v * Math.floor(i / row)),
  )
  await assert.rejects(
    opened(scaled(fromFloat32(Float32Array.of(1, 2), [2]))),
    /by 2 numbers; wanted is one, or one for/,
  )
  const alone = new Map([...weightsOfSd1, ['a.scale_weight', fromFloat32(Float32Array.of(1), [])] as const])
  await assert.rejects(opened(alone), /has "a\.scale_weight", but no weight that it scales/)
})
