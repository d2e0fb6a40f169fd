import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { imageProjection } from '../../conditioning/pictures/image-projection.js'
import { mapAdapter } from '../../conditioning/pictures/map-adapter-network.js'
import { clipVision } from '../../perceptual/clip-vision.js'
import { bytesSource } from '../../platform/sources.js'
import { type Program, trace } from '../../tensor/program.js'
import { f32 } from '../../tensor/tensor.js'
import { controlNetFile } from '../../testing/control-net.js'
import { drawnParameters } from '../../testing/parameters.js'
import { smallCheckpoint, smallOriginals } from '../../testing/small-originals.js'
import { unetConfig } from '../../unet/config.js'
import { fromFloat32, toFloat32 } from '../../weights/dtypes.js'
import { weightsOf } from '../../weights/open-weights.js'
import { encodeSafetensors } from '../../weights/safetensors.js'
import type { GenerateOptions } from '../generation/events.js'
import { load } from '../loading/load.js'
import type { Model } from '../model.js'

/*
 * Latents that diffusers' own pipelines paint with the same checkpoint and the guidances that it has beside the classifier's,
 * and by DeepCache's own helper: see fixtures/whole/README.md.
 */

const given = {
  ...{ profile: 'diffusers', sampler: 'ddim', negativePrompt: 'blurry, low quality' },
  ...{ width: 64, height: 48, seed: 42, steps: 5, guidance: 5 },
} as const
const pagBlocks = ['middle_block', 'input_blocks.3']
const cases: Readonly<Record<string, GenerateOptions>> = {
  pag: { pag: 60, pagBlocks },
  'pag-alone': { pag: 100, pagBlocks, guidance: 1 },
  sag: { sag: 0.75 },
  'sag-alone': { sag: 1.5, guidance: 1 },
  slg: { skipLayers: 2.5 },
  deepcache: { deepCache: 3, deepCacheOuter: 3 },
}

const fixture = await readFile(new URL('../../../fixtures/whole/guided.safetensors', import.meta.url))
const wanted = await weightsOf(bytesSource(fixture, 'guided.safetensors'))
const read = async (name: string) => toFloat32(await wanted.read(name))
const plain = await read('plain')

let model: Model
let checkpoint: Uint8Array
before(async () => {
  checkpoint = encodeSafetensors(smallCheckpoint('sd1'))
  model = await load(checkpoint, { threads: 1 })
})
after(() => model.dispose())

async function latentsOf(by: Model, options: GenerateOptions): Promise<Float32Array> {
  const prompt = 'a photograph of an astronaut riding a horse'
  for await (const event of by.generate(prompt, { ...given, ...options } as GenerateOptions))
    if (event.type === 'image') return event.latents.data
  throw new Error('no picture')
}

const norm = (x: Float32Array) => Math.sqrt(x.reduce((sum, value) => sum + value ** 2, 0))
const away = (x: Float32Array, from: Float32Array) => norm(x.map((value, i) => value - from[i]!))

async function compare(name: string, found: Float32Array): Promise<void> {
  const theirs = await read(name)
  const far = away(found, theirs)
  assert.ok(far < 1e-5 * norm(theirs), `${name}: ${far / norm(theirs)} of the latents`)
  // Of what the guidance itself does.
  assert.ok(far < 1e-2 * away(theirs, plain), `${name}: ${far / away(theirs, plain)} of its effect`)
}

for (const [name, options] of Object.entries(cases))
  test(`${name}: as by diffusers`, async () => compare(name, await latentsOf(model, options)))

const smallControlNet = (by: number) => controlNetFile(unetConfig.parse(smallOriginals.sd1.unet_config), 8, () => by)

const drawn = (width: number, height: number, channels: 3 | 4, level: (x: number, y: number, c: number) => number) => ({
  ...{ width, height, channels },
  data: Uint8Array.from({ length: width * height * channels }, (_, i) => {
    const pixel = Math.floor(i / channels)
    return level(pixel % width, Math.floor(pixel / width), i % channels)
  }),
})
const level = (x: number, y: number, c: number) => (x * 3 + y * 2 * (c + 1) + 40 * c) % 256
const hidden = (x: number, y: number) => x >= 21 && y >= 12 && y < 36

test('ControlNets, their modes, shares of the way and what is clear in hints: as by diffusers', async () => {
  const [file, file2] = [smallControlNet(1), smallControlNet(-0.7)]
  const hint = drawn(64, 48, 3, level)
  const other = drawn(64, 48, 3, (x, y, c) => 255 - level(63 - x, y, c))
  await using one = await load(checkpoint, { threads: 1, controls: [{ file, weight: 0.8 }] })
  await compare('control', await latentsOf(one, { hint }))
  await compare('control-guess', await latentsOf(one, { hint, controlMode: ['control'] }))

  const controls = [
    { file, weight: 0.8 },
    { file: file2, weight: 0.5 },
  ]
  await using two = await load(checkpoint, { threads: 1, controls })
  const shares = { controlFrom: [0, 0.25], controlTo: [0.6, 0.75] }
  await compare('control-two', await latentsOf(two, { hint: [hint, other], ...shares }))

  await using whole = await load(checkpoint, { threads: 1, controls: [{ file }] })
  const clear = drawn(64, 48, 4, (x, y, c) => (c < 3 ? level(x, y, c) : hidden(x, y) ? 0 : 255))
  await compare('control-holes', await latentsOf(whole, { hint: clear }))
  // Who paints in a picture and gives no hint means just that.
  const mask = drawn(64, 48, 3, (x, y) => (hidden(x, y) ? 255 : 0))
  const painting = { image: hint, mask, strength: 1 }
  assert.deepEqual(await latentsOf(whole, painting), await latentsOf(whole, { ...painting, hint: clear }))
})

const tensorsOf = (program: Program) =>
  Object.entries(drawnParameters(program)).map(
    ([name, { data, shape }]) => [name, fromFloat32(Float32Array.from(data), shape)] as const,
  )

test('T2I-adapters: as by diffusers', async () => {
  const words = {
    pixel_channels: 3,
    channels: [64, 128],
    num_res_blocks: 2,
    kernel: 1,
    light: false,
    xl: false,
  } as const
  const program = trace({ map: f32(1, 3, 64, 64) }, (at, { map }) =>
    Object.fromEntries(mapAdapter(at, { ...words, channels: [...words.channels] }, map!, 8).map((h, i) => [`${i}`, h])),
  )
  const file = encodeSafetensors(new Map(tensorsOf(program)))
  await using led = await load(checkpoint, { threads: 1, t2i: [{ file, weight: 0.6 }] })
  await compare('t2i', await latentsOf(led, { t2i: drawn(64, 48, 3, level) }))
})

test('an IP-adapter, whose attentions are numbered on the way down, up and between: as by diffusers', async () => {
  const vision = {
    ...{ size: 8, patch: 4, width: 64, layers: 2, heads: 1, inner: 32, embed_dim: 6 },
    ...({ activation: 'quick_gelu', names: 'huggingface' } as const),
  }
  const seen = trace({ images: f32(1, 3, 8, 8) }, (at, { images }) => ({
    out: clipVision(at, vision, images).embedding,
  }))
  const projected = trace({ embedding: f32(1, 6), places: f32(1, 5, 64) }, (at, given) =>
    imageProjection(at('image_proj'), { kind: 'linear', tokens: 4, width: 128 }, given),
  )
  const attentions = [64, 128, 128, 128, 64, 64, 128].flatMap((width, i) =>
    ['k', 'v'].map((part, j) => {
      const numbers = Float32Array.from({ length: width * 128 }, (_, n) => Math.sin(n * 0.37 + 2 * i + j) / 8)
      return [`ip_adapter.${2 * i + 1}.to_${part}_ip.weight`, fromFloat32(numbers, [width, 128])] as const
    }),
  )
  const file = encodeSafetensors(new Map([...tensorsOf(projected), ...attentions]))
  const encoder = encodeSafetensors(new Map(tensorsOf(seen)))
  await using told = await load(checkpoint, { threads: 1, imagePrompt: { file, encoder, weight: 0.7 } })
  await compare('ip', await latentsOf(told, { imagePrompt: drawn(8, 8, 3, level) }))
})

test('settings of ControlNets that are not there are refused', async () => {
  await assert.rejects(latentsOf(model, { controlMode: ['prompt'] }), /and there are none: load one/)
  await assert.rejects(latentsOf(model, { controlTo: [0.5] }), /and there are none: load one/)
})
