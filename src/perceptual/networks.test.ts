import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { hostTensor, openDevice } from '../runtime/index.js'
import type { Program } from '../tensor/program.js'
import { trace } from '../tensor/program.js'
import { sizeOf } from '../tensor/shape.js'
import { f32 } from '../tensor/tensor.js'
import { clipVision } from './clip-vision.js'
import { clipVisionConfigOf, recogniseFeatures } from './feature-networks.js'
import { inception } from './inception.js'

const golden = JSON.parse(await readFile(new URL('../../fixtures/perceptual/networks.json', import.meta.url), 'utf8'))

/** Numbers that the original networks were given too: no file of weights is needed. */
function numbers(name: string, shape: readonly number[]) {
  const count = sizeOf(shape)
  const seed = [...name].reduce((sum, c, i) => (sum + c.charCodeAt(0) * (i + 1)) % 997, 0)
  const fan = shape.length > 1 ? count / shape[0]! : 1
  const scale = shape.length > 1 ? Math.sqrt(3 / fan) : 0.1
  const offset = /(running_var|bn\.weight|(ln_\w+|norm\w*|layrnorm)\.weight)$/.test(name) ? 1 : 0
  const at = (i: number) => {
    const x = Math.sin(12.9898 * (i + 1) + seed) * 43758.5453
    return (2 * (x - Math.floor(x)) - 1) * scale + offset
  }
  return hostTensor(
    Float32Array.from({ length: count }, (_, i) => at(i)),
    shape,
  )
}

async function run(program: Program, input: string) {
  await using device = await openDevice('cpu', { threads: 1 })
  const weights = new Map(program.parameters.map(({ name, shape }) => [name, numbers(name, shape)]))
  const execute = await device.compile(program, { weights })
  return execute({ images: numbers(input, program.inputs.images!.shape) })
}

function near(ours: ArrayLike<number>, expected: readonly number[], what: string) {
  const scale = Math.max(...expected.map(Math.abs))
  expected.forEach((value, i) => {
    assert.ok(Math.abs(ours[i]! - value) < 2e-4 * scale, `${what} ${i}: ${ours[i]}, expected ${value}`)
  })
}

test("Inception v3, thinner, is pytorch-fid's and torchvision's network", async () => {
  for (const variant of ['fid', 'torchvision'] as const) {
    const program = trace({ images: f32(1, 3, 107, 91) }, (at, { images }) => ({
      ...inception(at, images, { variant, classes: 8, thinner: 8 }),
    }))
    const { features, logits } = await run(program, 'images')
    near(features!.data as Float32Array, golden[variant].features, `${variant} feature`)
    near(logits!.data as Float32Array, golden[variant].logits, `${variant} logit`)
  }
})

test("a CLIP vision transformer by openai's names and by Hugging Face's", async () => {
  for (const names of ['openai', 'huggingface'] as const) {
    const config = { size: 12, patch: 4, width: 16, layers: 2, heads: 2, inner: 64, embed_dim: 6, names } as const
    const program = trace({ images: f32(2, 3, 12, 12) }, (at, { images }) => ({
      features: clipVision(at, { ...config, activation: 'quick_gelu' }, images).embedding,
    }))
    const { features } = await run(program, 'images')
    near(features!.data as Float32Array, golden[names].features, `${names} feature`)
    const found = clipVisionConfigOf(new Map(program.parameters.map(p => [p.name, { dtype: 'F32', shape: p.shape }])))
    assert.deepEqual(found, { ...config, heads: 16 / 64, activation: 'quick_gelu' })
  }
})

test('networks are recognised by the published names and shapes, and take exactly those', () => {
  for (const [name, listed] of Object.entries<Record<string, number[]>>(golden.layouts)) {
    const tensors = new Map(Object.entries(listed).map(([key, shape]) => [key, { dtype: 'F32' as const, shape }]))
    const network = recogniseFeatures(tensors)!
    assert.ok(network.label.startsWith(name), `${name}: ${network.label}`)
    const { size } = network
    const program = trace({ images: f32(-1, 3, size, size) }, (at, { images }) => network.build(at, images))
    for (const parameter of program.parameters) {
      assert.deepEqual(parameter.shape, listed[parameter.name], `${name}: ${parameter.name}`)
    }
    assert.deepEqual(program.outputs.features!.shape, [-1, network.columns])
  }
  assert.equal(recogniseFeatures(new Map()), undefined)
})
