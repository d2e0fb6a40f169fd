import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { clipVision } from '../../perceptual/clip-vision.js'
import { trace } from '../../tensor/program.js'
import { f32, i64 } from '../../tensor/tensor.js'
import { parametersOf } from '../../testing/checkpoint.js'
import { assertPaints, type PaintedCase, paintedBefore, pictureOf, slopes } from '../../testing/paints.js'
import { published } from '../../testing/published.js'
import { drawnCheckpoint } from '../../testing/small-originals.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { openClipEmbedding, openClipText, openClipTextConfig } from '../../text/encoder-openclip.js'
import { fromFloat32, type TensorData, toFloat32 } from '../../weights/dtypes.js'
import { encodeSafetensors } from '../../weights/safetensors.js'
import type { GenerateOptions } from '../generation/events.js'
import { load } from '../loading/load.js'

/*
 * Pictures of the paper's models, painted by the scripts and notebooks of CompVis/latent-diffusion with the same checkpoints,
 * their channels narrowed: see fixtures/whole/README.md.
 */

type Json = Readonly<Record<string, unknown>>
type Checkpoint = Map<string, TensorData>

const prompt = 'a photograph of an astronaut riding a horse'
const script = { profile: 'compvis', noiseSource: 'cpu', seed: 42, steps: 5 } as const
const square = { width: 64, height: 64 }

const tiny = (family: string, i = 0): Json => published.filter(one => one.family === family)[i]!.tiny
/** The transformer that reads texts and layouts has eight heads whatever its width. */
function eightHeads(config: Json, name: string): Json {
  const conditioning = config.conditioning as Record<string, Json>
  return { ...config, conditioning: { ...conditioning, [name]: { ...conditioning[name], heads: 8, n_layer: 2 } } }
}

/** What training keeps beside the weights, and the scripts go by. */
const averages = (tensors: Checkpoint): Checkpoint =>
  new Map(
    [...tensors].flatMap(([name, tensor]) => {
      if (!name.startsWith('model.')) return []
      const average = fromFloat32(
        toFloat32(tensor).map(value => 0.9 * value),
        tensor.shape,
      )
      return [[`model_ema.${name.slice('model.'.length).replaceAll('.', '')}`, average] as const]
    }),
  )
const scalar = (value: number) => fromFloat32(Float32Array.of(value), [])

interface Painted {
  readonly name: string
  readonly config: Json
  /** Tensors beside those of the networks. */
  beside?(tensors: Checkpoint): Checkpoint
  readonly cases: Readonly<Record<string, PaintedCase>>
}

const database = Float32Array.from({ length: 40 * 16 }, (_, n) => {
  const [i, j] = [Math.floor(n / 16), n % 16]
  return Math.sin(1.3 * i * i + 2.1 * j) + 0.2 * Math.cos(i + j * j)
})
const embedder = join(await temporaryFolder(), 'clip.safetensors')

const mask = pictureOf(64, 64, (x, y) => (y >= 16 && y < 48 && x >= 20 ? 255 : 0))
const classes = pictureOf(48, 32, (x, y) => (Math.floor(x / 5) * 7 + Math.floor(y / 3)) % 182)
const boxes = [
  { label: '431', box: [0.55, 0.05, 0.4, 0.3] },
  { label: '17', box: [0, 0.7, 1, 0.3] },
  { label: '17', box: [0.1, 0.2, 0.5, 0.6] },
] satisfies GenerateOptions['boxes']

const all: readonly Painted[] = [
  {
    name: 'ldm-unconditional',
    config: tiny('ldm-unconditional'),
    cases: { celeba: { settings: { ...script, ...square, count: 2, batchSize: 2, eta: 1 } } },
  },
  {
    name: 'ldm-unconditional',
    config: tiny('ldm-unconditional', 1),
    beside: () => new Map([['scale_factor', scalar(0.7)]]),
    cases: { churches: { settings: { ...script, width: 256, height: 256 } } },
  },
  {
    name: 'ldm-class',
    config: tiny('ldm-class', 1),
    cases: { class: { settings: { ...script, ...square, class: 25, guidance: 3 } } },
  },
  {
    name: 'ldm-text',
    config: eightHeads(tiny('ldm-text'), 'text'),
    cases: { text: { prompt, settings: { ...script, width: 128, height: 64, guidance: 5 } } },
  },
  {
    name: 'ldm-layout',
    config: eightHeads(tiny('ldm-layout'), 'layout'),
    cases: { layout: { settings: { ...script, ...square, boxes, eta: 1 } } },
  },
  {
    name: 'ldm-semantic',
    config: tiny('ldm-semantic'),
    cases: { semantic: { settings: { ...script, map: classes, eta: 1 } } },
  },
  {
    name: 'ldm-inpainting',
    config: tiny('ldm-inpainting'),
    beside: averages,
    cases: { inpainting: { settings: { ...script, image: slopes(64, 64), mask }, within: mask } },
  },
  {
    name: 'ldm-super-resolution',
    config: tiny('ldm-super-resolution'),
    cases: { 'super-resolution': { settings: { ...script, image: slopes(24, 16), eta: 1 } } },
  },
  {
    name: 'rdm',
    config: tiny('rdm'),
    cases: {
      'rdm-neighbours': {
        prompt,
        settings: {
          ...{ ...script, width: 128, height: 128, guidance: 3, embedder },
          neighbours: { data: database, width: 16 },
        },
      },
    },
  },
]

/** A CLIP by which prompts and pictures are told. */
async function writeClip(file: string): Promise<void> {
  const vision = { size: 64, patch: 32, width: 64, layers: 1, heads: 1, inner: 256, embed_dim: 16 }
  const text = openClipTextConfig.parse({
    ...{ embed_dim: 16, context_length: 77, vocab_size: 49408, width: 16, heads: 1, layers: 2 },
    activation: 'quick_gelu',
  })
  const { parameters } = trace({ images: f32(1, 3, 64, 64), tokens: i64(1, 77) }, (at, { images, tokens }) => ({
    seen: clipVision(at, { ...vision, activation: 'quick_gelu', names: 'openai' }, images).embedding,
    told: openClipEmbedding(at, text, openClipText(at, text, tokens).last, tokens),
  }))
  await writeFile(file, encodeSafetensors(drawnCheckpoint(parameters)))
}

const wanted = await paintedBefore('latent-diffusion.safetensors')

for (const { name, config, beside, cases } of all)
  test(`${name}: ${Object.keys(cases).join(', ')} as by the original scripts`, async () => {
    if (name === 'rdm') await writeClip(embedder)
    const tensors = drawnCheckpoint(parametersOf(config))
    const file = encodeSafetensors(new Map([...tensors, ...(beside?.(tensors) ?? [])]))
    await using model = await load(file, { threads: 1 })
    assert.deepEqual([model.family, model.unplaced], [name, []])
    for (const one of Object.entries(cases)) await assertPaints(model, wanted, one)
  })

test('ancestral sampling of every timestep, as by sample_diffusion.py --vanilla_sample', async () => {
  const json = tiny('ldm-unconditional')
  const config = { ...json, diffusion: { ...(json.diffusion as Json), timesteps: 20 } }
  await using model = await load(encodeSafetensors(drawnCheckpoint(parametersOf(json))), { threads: 1, config })
  const settings = { ...script, ...square, sampler: 'ddpm' } as const
  await assertPaints(model, wanted, ['vanilla', { settings: { ...settings, steps: 20 } }])
  await assert.rejects(model.generate('', settings).image(), /every timestep by ddpm, found 5 steps; wanted 20/)
})
