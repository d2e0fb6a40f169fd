import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluate } from '../tensor/evaluate.js'
import { trace } from '../tensor/program.js'
import { f32 } from '../tensor/tensor.js'
import type { TrainingRecord } from './contract.js'
import { sizes } from './sizes.js'

const place = { width: 768, height: 512, latents: [4, 64, 96] } as const
const texts = { prompt: '', negativePrompt: '' }
const reader = sizes.reader(sizes.config.parse({}))

test("numbers become the original's sinusoids", () => {
  const config = sizes.config.parse({ values: ['original_size', 'aesthetic_score'], outdim: 6 })
  const { outputs } = trace({ sizes: f32(2, 3) }, (at, inputs) => ({ ...sizes.embed(at, config, inputs) }))
  const [y] = evaluate([outputs.y!], { sizes: { shape: [2, 3], data: Float64Array.of(1024, 768, 16, 100, 5, 2.5) } })
  assert.deepEqual([y!.shape, sizes.reach(config)], [[2, 18], { vector: 18 }])
  // By generative-models' timestep_embedding(torch.tensor([1024, 768, 16, 100, 5, 2.5]), 6).
  const wanted = [
    [0.98735362, -0.91871458, -0.59345514, -0.15853338, -0.39492214, 0.80486703],
    [0.11912028, -0.46258774, -0.08371146, 0.99287981, -0.88657349, 0.99649],
    [-0.95765948, 0.73667622, 0.99940592, -0.28790331, 0.67624563, 0.03446413],
    [0.86231887, -0.07074068, 0.97688168, -0.50636566, -0.99749476, 0.21378067],
    [0.2836622, 0.97319025, 0.999942, -0.95892429, 0.2300017, 0.01077197],
    [-0.80114359, 0.99327493, 0.99998552, 0.59847212, 0.11577949, 0.00538606],
  ].flat()
  for (const [i, value] of wanted.entries()) assert.ok(Math.abs(y!.data[i]! - value) < 2e-4, `number ${i}`)
})

test('a request tells sizes down before across; what it leaves out is that of the picture', () => {
  const ask = (fields: object) => reader.ofRequest({ ...texts, ...fields }, place).positive.sizes
  assert.deepEqual(ask({}), [512, 768, 0, 0, 512, 768])
  assert.deepEqual(
    ask({ originalSize: [1024, 600], crop: [8, 4], targetSize: [768, 513] }),
    [600, 1024, 4, 8, 513, 768],
  )
  const refiner = sizes.reader(sizes.config.parse({ values: ['original_size', 'crop', 'aesthetic_score'] }))
  const { positive, negative } = refiner.ofRequest({ ...texts, aestheticScore: 7 }, place)
  assert.deepEqual([positive.sizes.at(-1), negative.sizes.at(-1)], [7, 2.5])
  const { read, show } = sizes.request.originalSize
  assert.deepEqual([read('1024x768'), show!([3, 4]), sizes.request.crop.read('8, 0')], [[1024, 768], '3x4', [8, 0]])
  assert.throws(() => read('large'), /found "large", wanted two whole numbers with "x" between/)
})

test('in training they are those of the picture, its crop in pixels of the size that it was brought to', async () => {
  const record = {
    size: async () => ({ width: 2000, height: 1000 }),
    visible: async () => [0.25, 0, 0.5, 1] as const,
  } as unknown as TrainingRecord
  const { sizes: found } = await reader.ofRecord(record, { width: 500, height: 500, latents: [4, 8, 8] })
  assert.deepEqual(found, [1000, 2000, 0, 250, 500, 500])
})
