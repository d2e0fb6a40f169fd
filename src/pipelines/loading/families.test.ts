import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Image } from '../../image/index.js'
import { clipVision } from '../../perceptual/clip-vision.js'
import { trace } from '../../tensor/program.js'
import { f32, i64 } from '../../tensor/tensor.js'
import { drawnParameters } from '../../testing/parameters.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { tinyCheckpoint, tinyClipSize, tinyClipVocabulary, tinyConfig } from '../../testing/tiny-model.js'
import { openClipEmbedding, openClipText, openClipTextConfig } from '../../text/encoder-openclip.js'
import { fromFloat32 } from '../../weights/dtypes.js'
import { encodeSafetensors } from '../../weights/safetensors.js'
import type { GenerateOptions } from '../generation/events.js'
import { type ModelConfig, modelConfig } from '../model-config.js'
import { checkpointModel } from './checkpoint-model.js'
import { load } from './load.js'

const [vocab_size, context_length] = [tinyClipSize, 8]
const clip = {
  vocab_size,
  hidden_size: 16,
  intermediate_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  max_position_embeddings: context_length,
}
const openClip = {
  width: 16,
  heads: 2,
  layers: 2,
  vocab_size,
  embed_dim: 12,
  context_length,
  layer: 'penultimate',
  padding: 'zero',
} as const

/** A tiny model of a family: what its configuration changes in the tiny one. */
function twin(unet: object, rest: Partial<Record<keyof ModelConfig, object | number>>): ModelConfig {
  const { first_stage_config, unet_config, diffusion } = tinyConfig({ text: false })
  const { use_spatial_transformer: _, legacy: __, ...plain } = unet_config!
  return modelConfig.parse({
    first_stage_config,
    diffusion,
    ...rest,
    unet_config: { ...plain, use_spatial_transformer: true, legacy: false, ...unet },
  })
}

const grey = (side: number, level: (i: number) => number): Image => ({
  width: side,
  height: side,
  channels: 3,
  data: Uint8Array.from({ length: 3 * side * side }, (_, i) => level(Math.floor(i / 3))),
})

/** Pictures of a model by several settings, with the same noise. */
async function pictures(config: ModelConfig, ...settings: readonly GenerateOptions[]): Promise<Image[]> {
  await using model = await load(tinyCheckpoint(config), { threads: 1 })
  const made: Image[] = []
  for (const options of settings)
    made.push(await model.generate('red car', { steps: 2, seed: 3, guidance: 40, ...options }).image())
  return made
}

const difference = (a: Image, b: Image) => Math.max(...Array.from(a.data, (value, i) => Math.abs(value - b.data[i]!)))
/** Every picture is the first's size and unlike all before it. */
function allDiffer(made: readonly Image[], side: number): void {
  for (const [i, picture] of made.entries()) {
    assert.deepEqual([picture.width, picture.height], [side, side])
    for (const [j, before] of made.slice(0, i).entries())
      assert.ok(difference(picture, before) > 0, `pictures ${j} and ${i} are alike`)
  }
}

const xl = () =>
  twin(
    {
      channel_mult: [1, 2],
      transformer_depth: [0, 2],
      attention_resolutions: [1, 2],
      transformer_depth_middle: 1,
      num_heads: -1,
      num_head_channels: 16,
      use_linear_in_transformer: true,
      context_dim: 40,
      num_classes: 'sequential',
      adm_in_channels: 12 + 6 * 8,
    },
    {
      conditioning: {
        clip_text: {
          embedders: [
            { ...clip, layer: 'penultimate', normalised: false },
            { ...openClip, width: 24, normalised: false, pooled: true },
          ],
          zero_empty: true,
        },
        sizes: { outdim: 8 },
      },
    },
  )

test('as Stable Diffusion XL: two encoders, pooled text and sizes; no prompt to lead away from is zeros', async () => {
  const config = xl()
  allDiffer(
    await pictures(
      config,
      {},
      { negativePrompt: 'car' },
      { originalSize: [400, 300] },
      { crop: [8, 100] },
      { targetSize: [16, 900] },
    ),
    16,
  )
  assert.throws(
    () => modelConfig.parse({ ...config, unet_config: { ...config.unet_config, adm_in_channels: 61 } }),
    /the conditions give a vector of 60/,
  )
})

test('words for both encoders of Stable Diffusion XL', async () => {
  const vectors = (width: number, level: number) => fromFloat32(new Float32Array(2 * width).fill(level), [2, width])
  const word = (name: string, tensors: Record<string, ReturnType<typeof vectors>>) => {
    const bytes = encodeSafetensors(new Map(Object.entries(tensors)))
    return new File([bytes as Uint8Array<ArrayBuffer>], `${name}.safetensors`)
  }
  const words = [
    word('firstx', { clip_l: vectors(16, 1), clip_g: vectors(24, 1) }),
    word('secondx', { clip_l: vectors(16, -3), clip_g: vectors(24, 1) }),
    word('thirdx', { clip_l: vectors(16, 1), clip_g: vectors(24, -3) }),
  ]
  const checkpoint = tinyCheckpoint(xl())
  await using model = await load(checkpoint, { threads: 1, words })
  const paint = (prompt: string) => model.generate(prompt, { steps: 2, seed: 3, guidance: 40 }).image()
  allDiffer([await paint('firstx'), await paint('secondx'), await paint('thirdx')], 16)
  await assert.rejects(
    load(checkpoint, { words: [word('alonex', { clip_l: vectors(16, 1) })] }),
    /tokens 16 and 24 wide and the word "alonex" has 2 of 16: it was learned with another text encoder/,
  )
})

test('as Stable Diffusion 2: OpenCLIP normalised before its last layer, linear projections, v', async () => {
  const config = twin(
    { num_heads: -1, num_head_channels: 16, use_linear_in_transformer: true, context_dim: 16 },
    { conditioning: { clip_text: openClip }, diffusion: { parameterization: 'v' } },
  )
  allDiffer(await pictures(config, {}, { guidance: 200 }, { negativePrompt: 'car' }), 16)
})

test('a configuration that is well formed and no network is refused with its file', () => {
  const { first_stage_config, unet_config, diffusion } = tinyConfig()
  const config = { first_stage_config, unet_config, diffusion, conditioning: { clip_text: { ...openClip, heads: 3 } } }
  const checkpoint = {
    name: 'odd.safetensors',
    info: { config, vocabulary: JSON.stringify(tinyClipVocabulary) },
    weights: new Map(Array.from({ length: 99 }, (_, i) => [String(i), { dtype: 'F32', shape: [1] }])),
  }
  assert.throws(
    () => checkpointModel(checkpoint as never),
    /odd\.safetensors.*describes no network: attention: width 16 does not divide into 3 heads/,
  )
})

test('as its model of depth: one more channel, which a picture tells', async () => {
  const config = twin({ in_channels: 5, context_dim: 16 }, { conditioning: { clip_text: openClip, depth: {} } })
  const [ramp, turned] = [grey(16, i => i), grey(16, i => 255 - i)]
  allDiffer(await pictures(config, { depth: ramp }, { depth: turned }), 16)
})

test('as its upscaler: a noised small picture beside latents of f4, its noise as a label', async () => {
  const { first_stage_config } = tinyConfig()
  const ddconfig = { ...('ddconfig' in first_stage_config ? first_stage_config.ddconfig : {}), ch_mult: [1, 1, 1] }
  const config = twin(
    {
      in_channels: 7,
      context_dim: 16,
      num_classes: 1000,
      disable_self_attentions: [true, false],
      use_linear_in_transformer: true,
    },
    {
      first_stage_config: { ...first_stage_config, ddconfig },
      conditioning: { clip_text: openClip, low_resolution: { factor: 4, noise_augmentation: 350 } },
    },
  )
  const image = grey(8, i => 4 * i)
  allDiffer(await pictures(config, { image }, { image, noiseLevel: 300 }), 32)
})

test('retrieval-augmented: a prompt by the text half of the CLIP that pictures are found by', async t => {
  const text = openClipTextConfig.parse({
    embed_dim: 8,
    context_length: 12,
    vocab_size: 49408,
    width: 8,
    heads: 1,
    layers: 1,
  })
  const vision = {
    size: 8,
    patch: 4,
    width: 64,
    layers: 1,
    heads: 1,
    inner: 128,
    embed_dim: 8,
    activation: 'gelu',
    names: 'openai',
  } as const
  const program = trace({ images: f32(1, 3, 8, 8), tokens: i64(1, 12) }, (at, { images, tokens }) => ({
    seen: clipVision(at, vision, images).embedding,
    told: openClipEmbedding(at, text, openClipText(at, text, tokens).last, tokens),
  }))
  const weights = Object.entries(drawnParameters(program)).map(
    ([name, { data, shape }]) => [name, fromFloat32(Float32Array.from(data), shape)] as const,
  )
  const folder = await temporaryFolder(t)
  const embedder = join(folder, 'clip.safetensors')
  await writeFile(embedder, encodeSafetensors(new Map(weights)))
  const config = twin({ context_dim: 8 }, { conditioning: { neighbours: { width: 8, k: 3 } } })
  await using model = await load(tinyCheckpoint(config), { threads: 1 })
  const paint = (prompt: string, more: GenerateOptions = {}) =>
    model.generate(prompt, { steps: 2, seed: 3, guidance: 40, ...more }).image()
  const index = { data: Float32Array.from({ length: 40 }, (_, i) => Math.sin(i)), width: 8 }
  allDiffer(
    [
      await paint('a cat', { embedder }),
      await paint('a cat', { embedder, negativePrompt: 'a zebra at night' }),
      await paint('a cat', { embedder, neighbours: index }),
      await paint('', { neighbours: index }),
    ],
    16,
  )
  await assert.rejects(paint('a cat'), /name its weights as "embedder"/)
  await assert.rejects(paint('', { negativePrompt: 'a cat', embedder, neighbours: index }), /only beside a prompt/)
})
