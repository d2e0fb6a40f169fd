import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LoadedPicture } from '../data/index.js'
import type { Image } from '../image/index.js'
import { openDevice } from '../runtime/index.js'
import { uniforms } from '../testing/values.js'
import { figureSettings, openFigures, openStageFigures, stageFigureSettings } from './figures.js'
import type { Task } from './fit.js'

const picture = (seed: number): Image => {
  const uniform = uniforms(seed)
  return { data: Uint8Array.from({ length: 20 * 20 * 3 }, () => 255 * uniform()), width: 20, height: 20, channels: 3 }
}

test('figures come beside the losses where they are due, of as many samples as held-out pictures', async () => {
  await using device = await openDevice('cpu', { threads: 1 })
  let looked = 0
  const heldOut = async (most: number) => {
    looked++
    return Array.from({ length: most }, (_, i) => ({ image: picture(i) }) as LoadedPicture)
  }
  const settings = figureSettings.parse({ metrics: ['frechet', 'precision-recall'], every: 4, samples: 10 })
  await using figures = await openFigures(settings, { device, heldOut })
  const asked: number[][] = []
  const paint = async (first: number, count: number) => {
    asked.push([first, count])
    return Array.from({ length: count }, (_, i) => picture(first + i))
  }
  const task = figures.beside({ evaluate: async () => ({ loss: 0.5 }) } as unknown as Task, paint)
  assert.deepEqual(await task.evaluate(2), { loss: 0.5 })
  for (const step of [4, 8]) {
    const { loss, ...measured } = await task.evaluate(step)
    assert.equal(loss, 0.5)
    const names = ['Fréchet distance (SqueezeNet 1.1)', 'precision (SqueezeNet 1.1)', 'recall (SqueezeNet 1.1)']
    assert.deepEqual(Object.keys(measured), names)
    assert.ok(Math.abs(measured[names[0]!]!) < 1e-3, 'the very pictures are at no distance')
  }
  assert.deepEqual(asked, [
    [0, 8],
    [8, 2],
    [0, 8],
    [8, 2],
  ])
  assert.equal(looked, 1)
  const few = async () => (await heldOut(3)).slice(0, 3)
  await assert.rejects(openFigures(settings, { device, heldOut: few }), /need 4 samples and held-out pictures/)
})

test('reconstructions are measured as sets and in pairs', async () => {
  await using device = await openDevice('cpu', { threads: 1 })
  const settings = stageFigureSettings.parse({ metrics: ['frechet', 'psnr', 'perceptual'], every: 2 })
  await using figures = await openStageFigures(settings, device)
  async function* pairs() {
    for (let i = 0; i < 3; i++) yield [picture(i), picture(i)] as const
  }
  const task = figures.beside({ evaluate: async () => ({ loss: 0.5 }) } as unknown as Task, pairs)
  assert.deepEqual(await task.evaluate(1), { loss: 0.5 })
  const measured = Object.entries(await task.evaluate(2))
  assert.deepEqual(
    measured.map(([name, value]) => [name, Math.round(Math.abs(value))]),
    [
      ['loss', 1],
      ['reconstruction Fréchet distance (SqueezeNet 1.1)', 0],
      ['PSNR', 100],
      ['perceptual distance (SqueezeNet 1.1, not LPIPS)', 0],
    ],
  )
})
