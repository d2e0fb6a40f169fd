import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeTaesd, encodeTaesd } from '../../autoencoder/taesd.js'
import { trace } from '../../tensor/program.js'
import { f32 } from '../../tensor/tensor.js'
import { tinyWeights } from '../../testing/checkpoint.js'
import { published } from '../../testing/published.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { fromFloat32, type TensorData, toFloat32 } from '../../weights/dtypes.js'
import { encodeSafetensors } from '../../weights/safetensors.js'
import { openModelFile } from '../loading/model-file.js'
import { convert } from './index.js'

type Tensors = ReadonlyMap<string, TensorData>

const folder = await temporaryFolder()
/** Forms of one model that hold the same numbers, by what their paths end with. */
const single = ['.safetensors', '.ckpt', '.gguf'] as const
const all = ['', ...single] as const

/** One of each make, by their forms: folders of diffusers have another make of OpenCLIP's text encoders. */
const families = {
  'sd1-inpainting': all,
  sd2: single,
  sdxl: single,
  'ldm-unconditional': all,
  'ldm-super-resolution': all,
  'ldm-text': all,
  'ldm-semantic': single,
} as const
const stage = (tensors: Tensors): Tensors =>
  new Map([...tensors].filter(([name]) => name.startsWith('first_stage_model.')))

const tinyOf = (name: string): Tensors => tinyWeights(published.find(({ family }) => family === name)!.tiny)
const models: [name: string, tensors: Tensors, forms: readonly string[]][] = [
  ...Object.entries(families).map(([name, forms]): (typeof models)[number] => [name, tinyOf(name), forms]),
  ['autoencoder-kl', stage(tinyOf('sd2')), all],
  ['autoencoder-vq', stage(tinyOf('ldm-class')), all],
]
const words = { width: 8, latent_channels: 4, use_midblock_gn: false }
const { parameters } = trace({ image: f32(1, 3, 16, 16), z: f32(1, 4, 2, 2) }, (at, { image, z }) => ({
  z: encodeTaesd(at('first_stage_model.encoder'), words, image),
  image: decodeTaesd(at('first_stage_model.decoder'), words, z),
}))
const wave = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i) / 9)
models.push([
  'taesd',
  new Map(parameters.map(({ name, shape }) => [name, fromFloat32(wave(shape.reduce((a, b) => a * b)), shape)])),
  all,
])

/** Names and numbers of a model, as the family's own names have them. */
async function numbersOf(from: string | Uint8Array) {
  const checkpoint = await openModelFile(from)
  const numbers = new Map<string, Float32Array>()
  for (const name of [...checkpoint.weights.keys()].sort()) numbers.set(name, toFloat32(await checkpoint.read(name)))
  await checkpoint.close()
  return { family: checkpoint.origin?.family?.name, numbers }
}

for (const [family, tensors, forms] of models)
  test(`${family}: through any forms, in any order, to the same numbers`, async () => {
    const bytes = encodeSafetensors(tensors)
    const wanted = await numbersOf(bytes)
    let round = 0
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray([...forms], { minLength: forms.length }), async order => {
        let from: string | Uint8Array = bytes
        for (const form of order) {
          const to = join(folder, `${family}-${round++}${form}`)
          await convert(from, to)
          from = to
        }
        assert.deepEqual(await numbersOf(from), wanted)
      }),
      { numRuns: 1 },
    )
  })
