import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imageProjection } from '../../conditioning/pictures/image-projection.js'
import { type MapAdapterConfig, mapAdapter } from '../../conditioning/pictures/map-adapter-network.js'
import type { Image } from '../../image/index.js'
import { clipVision } from '../../perceptual/clip-vision.js'
import { type Program, trace } from '../../tensor/program.js'
import { f32, i64 } from '../../tensor/tensor.js'
import { drawnParameters } from '../../testing/parameters.js'
import { stableDiffusionUnet } from '../../testing/stable-diffusion.js'
import { tinyCheckpoint } from '../../testing/tiny-model.js'
import { imageAttention } from '../../unet/image-attention.js'
import { unet } from '../../unet/unet.js'
import { fromFloat32, type TensorData } from '../../weights/dtypes.js'
import { encodeSafetensors } from '../../weights/safetensors.js'
import { load } from '../loading/load.js'
import { numberedAttention } from './image-prompt-files.js'

const drawn = (program: Program, rename = (name: string) => name): [string, TensorData][] =>
  Object.entries(drawnParameters(program)).map(([name, { shape, data }]) => [
    rename(name),
    fromFloat32(Float32Array.from(data), shape),
  ])
const file = (...parts: [string, TensorData][][]) => encodeSafetensors(new Map(parts.flat()))
const picture = (level: number): Image => ({
  data: Uint8Array.from({ length: 20 * 16 * 3 }, (_, i) => (i * level) % 256),
  width: 20,
  height: 16,
  channels: 3,
})
const settings = { seed: 3, steps: 2, sampler: 'ddim' } as const

test('the cross-attentions of Stable Diffusion 1.5 have the numbers of published IP-adapters', () => {
  const { parameters } = trace(
    { x: f32(1, 4, 8, 8), t: i64(1), c: f32(1, 4, 768), tokens: f32(1, 4, 768), one: f32(1, 1, 1, 1) },
    (at, { x, t, c, tokens, one }) =>
      unet(at, stableDiffusionUnet, { x, t, context: c, changes: [imageAttention(at('ip'), tokens, one)] }),
  )
  const added = new Map(parameters.flatMap(({ name, shape }) => (name.startsWith('ip.') ? [[name, shape]] : [])))
  const rename = numberedAttention(
    [...added.keys()].map(name => ({ name })),
    'ip.',
  )
  const found = [1, 5, 9, 13, 19, 25, 31].map(i => {
    const { name } = rename(`${i}.to_k_ip.weight`, [])!
    return [name.replace(/\.transformer.*/, ''), added.get(`ip.${name}`)![0]]
  })
  assert.deepEqual(found, [
    ['input_blocks.1.1', 320],
    ['input_blocks.4.1', 640],
    ['input_blocks.7.1', 1280],
    ['output_blocks.3.1', 1280],
    ['output_blocks.6.1', 640],
    ['output_blocks.9.1', 320],
    ['middle_block.1', 1280],
  ])
  assert.equal(rename('33.to_k_ip.weight', []), undefined)
  assert.equal(rename('2.to_k_ip.weight', []), undefined)
})

test('a T2I-adapter by either tool’s names leads a generation as much as it counts', async () => {
  const words: MapAdapterConfig = {
    pixel_channels: 1,
    channels: [32, 32],
    num_res_blocks: 2,
    kernel: 1,
    light: false,
    xl: false,
  }
  const program = trace({ map: f32(1, 1, 16, 16) }, (at, { map }) => ({ out: mapAdapter(at, words, map, 2).at(-1)! }))
  const original = file(drawn(program))
  const diffusers = file(
    drawn(program, name => {
      const [, block, rest] = /^body\.(\d)\.(.*)$/.exec(name) ?? []
      if (block === undefined) return `adapter.${name}`
      return `adapter.body.${Math.floor(Number(block) / 2)}.resnets.${Number(block) % 2}.${rest}`
    }),
  )
  const checkpoint = tinyCheckpoint()
  const painted = async (adapters: { file: Uint8Array; weight?: number }[], t2i: Image[], more = {}) => {
    await using model = await load(checkpoint, { threads: 1, t2i: adapters })
    return (await model.generate('red heart', { ...settings, ...more, ...(t2i.length > 0 && { t2i }) }).image()).data
  }
  const map = picture(7)
  const plain = await painted([], [])
  const led = await painted([{ file: original }], [map])
  assert.notDeepEqual(led, plain)
  assert.deepEqual(await painted([{ file: diffusers }], [map]), led)
  assert.deepEqual(await painted([{ file: original, weight: 0 }], [map]), plain)
  assert.deepEqual(await painted([{ file: original }], [map], { controlFrom: [0.9] }), plain, 'too late for both steps')
  const atFirst = await painted([{ file: original }], [map], { controlTo: [0.1] })
  assert.notDeepEqual(atFirst, plain)
  assert.notDeepEqual(atFirst, led)
  const halves = [
    { file: original, weight: 0.5 },
    { file: diffusers, weight: 0.5 },
  ]
  const together = await painted(halves, [map, map])
  assert.ok(together.every((v, i) => Math.abs(v - led[i]!) <= 1))
  await assert.rejects(
    painted([{ file: original }], [map], { controlFrom: [0, 0.5] }),
    /name 2 ControlNets, and there are none/,
  )
  await assert.rejects(painted([{ file: original }], []), /1 T2I-adapters and 0 pictures in "t2i"/)
  await assert.rejects(painted([{ file: checkpoint }], [map]), /is no T2I-adapter/)
  const wide = { ...words, channels: [32, 64] }
  const other = trace({ map: f32(1, 1, 16, 16) }, (at, { map }) => ({ out: mapAdapter(at, wide, map, 2).at(-1)! }))
  await assert.rejects(
    painted([{ file: file(drawn(other)) }], [map]),
    /32, 64 channels; this model's levels have 32, 32/,
  )
})

test('an IP-adapter takes a picture as a prompt; without its picture, its encoder or its make it is refused', async () => {
  const vision = {
    size: 8,
    patch: 4,
    width: 64,
    layers: 2,
    heads: 1,
    inner: 32,
    embed_dim: 6,
    activation: 'quick_gelu',
    names: 'huggingface',
  } as const
  const encoder = file(
    drawn(trace({ images: f32(1, 3, 8, 8) }, (at, { images }) => ({ out: clipVision(at, vision, images).embedding }))),
  )
  const seen = { embedding: f32(1, 6), places: f32(1, 5, 64) }
  const resampler = { kind: 'resampler', tokens: 2, width: 16, inner: 8, depth: 1, heads: 1, head_width: 64 } as const
  const projections = [{ kind: 'linear', tokens: 3, width: 16 } as const, resampler]
  const checkpoint = tinyCheckpoint()
  const keys = (count: number): [string, TensorData][] =>
    Array.from({ length: count }, (_, i) => [
      `ip_adapter.${2 * i + 1}.to_k_ip.weight`,
      `ip_adapter.${2 * i + 1}.to_v_ip.weight`,
    ])
      .flat()
      .map((name, i) => [
        name,
        fromFloat32(
          Float32Array.from({ length: 512 }, (_, k) => Math.sin(k + i)),
          [32, 16],
        ),
      ])
  const painted = async (adapter: Uint8Array, weight: number, imagePrompt?: Image) => {
    await using model = await load(checkpoint, { threads: 1, imagePrompt: { file: adapter, encoder, weight } })
    const image = await model.generate('red heart', { ...settings, ...(imagePrompt && { imagePrompt }) }).image()
    assert.match(image.parameters.extra!['IP-adapter']!, new RegExp(`:${weight}$`))
    return image.data
  }
  await using model = await load(checkpoint, { threads: 1 })
  const plain = (await model.generate('red heart', settings).image()).data
  for (const config of projections) {
    const program = trace(seen, (at, given) => imageProjection(at('image_proj'), config, given))
    const adapter = file(drawn(program), keys(4))
    const led = await painted(adapter, 1, picture(7))
    assert.notDeepEqual(led, plain)
    assert.notDeepEqual(await painted(adapter, 1, picture(5)), led)
    assert.deepEqual(await painted(adapter, 0, picture(7)), plain)
    if (config.kind === 'resampler') continue
    await assert.rejects(painted(adapter, 1), /needs the picture "imagePrompt"/)
    await assert.rejects(painted(file(drawn(program), keys(5)), 1, picture(7)), /has no place for "9.to_k_ip.weight"/)
    await assert.rejects(painted(file(drawn(program)), 1, picture(7)), /is no IP-adapter/)
  }
})
