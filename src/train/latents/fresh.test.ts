import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { folderSource, noChance, openFolder, openParquet, type Source, viewOf } from '../../data/index.js'
import { modelConfig } from '../../pipelines/model-config.js'
import { type Device, openDevice } from '../../runtime/index.js'
import { dataSettings } from '../data-settings.js'
import { encodeSource } from './latents.js'

const scenes = fileURLToPath(new URL('../../../fixtures/data/scenes/', import.meta.url))
const transform = { size: 16, crop: 'random', flip: false, filter: 'bicubic', shares: { min: 0.5, max: 0.8 } } as const

let device: Device
before(async () => {
  device = await openDevice('cpu', { threads: 1 })
})
after(() => device.dispose())

test('a random crop shows a share of the shorter side between the two, anywhere, and the largest without chance', () => {
  const chance = fc.integer({ min: 0, max: 2 ** 24 - 1 }).map(n => n / 2 ** 24)
  const shown: number[] = []
  fc.assert(
    fc.property(chance, chance, fc.integer({ min: 40, max: 300 }), (x, y, width) => {
      const view = viewOf({ width, height: 100 }, transform, { x, y, flip: 1 })
      const share = 16 / Math.min(view.scaled.width, view.scaled.height)
      // Sides of scaled pictures are whole pixels.
      assert.ok(share > 0.49 && share < 0.81, String(share))
      assert.ok(view.x >= 0 && view.y >= 0 && view.x + 16 <= view.scaled.width && view.y + 16 <= view.scaled.height)
      shown.push(share)
    }),
  )
  assert.ok(Math.max(...shown) - Math.min(...shown) > 0.15, 'all shares come')
  assert.equal(viewOf({ width: 100, height: 100 }, transform, noChance).scaled.width, 20)
})

async function latentsOf(source: Source) {
  const config = modelConfig.parse({ first_stage_config: { f: 1 } })
  const checkpoint = { weights: new Map(), read: () => Promise.reject(new Error('pixels have no weights')) }
  const { shares, size } = transform
  const given = { device, source, checkpoint, config, size, shares, flip: true, sights: ['pixels', 'map'] as const }
  const { value, done } = await encodeSource(given).next()
  assert.ok(done, 'nothing is encoded before it is wanted')
  return value
}

test('latents of random crops are those of what conditions see, another crop for other chances', async () => {
  const latents = await latentsOf(folderSource(await openFolder(scenes)))
  const draws = [0, 1].flatMap(flip => [0.123456, 0.654321].map(x => ({ index: 2, flip, x, y: x })))
  const { means, shape } = await latents.read(draws)
  assert.deepEqual(shape, [3, 16, 16])
  const rows = draws.map((_, i) => means.subarray(i * 768, (i + 1) * 768))
  for (const [i, draw] of draws.entries()) {
    const { pixels, map } = latents.see(draw)
    assert.deepEqual(rows[i], await pixels())
    assert.equal((await map())!.length, 256)
  }
  assert.notDeepEqual(rows[0], rows[1])
  const turned = rows[2]!.map((_, i) => rows[0]![i - (i % 16) + 15 - (i % 16)]!)
  assert.deepEqual(turned, rows[2], 'the same crop, mirrored')
  const [left, , width] = await latents.see(draws[0]!).visible()
  assert.ok(width >= 0.49 && width <= 0.81 && left >= 0 && left + width <= 1)
  await latents.close()
})

test('random crops want pictures that can be read in any order, and squares', async () => {
  const stream = await openParquet(`${scenes}scenes.parquet`)
  await assert.rejects(() => latentsOf(stream), /random crops \(min_crop_f\) of a diffusion model want a folder/)
  const refused = (data: object, message: RegExp) =>
    assert.throws(() => dataSettings.parse({ size: 8, folder: 'a', ...data }), message)
  refused({ min_crop_f: 0.9, max_crop_f: 0.5 }, /wanted at most max_crop_f, 0\.5, found 0\.9/)
  refused({ min_crop_f: 0.5, buckets: { step: 4 } }, /does not go with buckets/)
})
