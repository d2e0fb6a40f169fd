import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { planFolder } from './folder-plan.js'

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/data/${name}`, import.meta.url))
const root = await temporaryFolder()
const options = { firstStageSteps: 10, steps: 10, seed: 0, flip: false }

test('a folder of pictures, of shards or of Parquet files is planned for as what it is', async () => {
  for (const [name, kind, pictures, size] of [
    ['emoji', 'folder', 12, 128],
    ['shards', 'shards', 10, 32],
    ['parquet', 'parquet', 8, 32],
    ['shards/dots-000.tar', 'shards', 4, 32],
  ] as const) {
    const { report, autoencoder, diffusion } = await planFolder(fixture(name), options)
    for (const { data } of [autoencoder, diffusion]) {
      const places = (['folder', 'shards', 'parquet'] as const).filter(place => data[place] !== undefined)
      assert.deepEqual(places, [kind])
      assert.deepEqual([data[kind], data.size, data.bad_pictures], [fixture(name), size, 'skip'])
    }
    assert.equal(report.dataset.pictures.length, pictures)
    assert.equal(report.complete, true)
    assert.ok(report.captioned > 0 && diffusion.conditioning?.text !== undefined)
    assert.ok(report.bytes > 0 && report.kinds.length > 0)
  }
  await assert.rejects(planFolder(fixture('nowhere'), options), /does not exist; a folder of pictures is wanted/)
})

test('folders that are classes, without captions, make a model of classes', async () => {
  const images = fixture('scenes/images')
  for (const [to, from] of [
    ['hat/a', '1'],
    ['hat/b', '2'],
    ['shoes/a', '4'],
  ])
    await cp(join(images, `${from}.jpg`), join(root, 'both', `${to}.jpg`))
  const { diffusion } = await planFolder(join(root, 'both'), options)
  assert.deepEqual(diffusion.conditioning, { class: { into: 'crossattn', embed_dim: 192, names: ['hat', 'shoes'] } })
  await cp(join(images, '5.jpg'), join(root, 'one', 'hat', 'a.jpg'))
  assert.equal((await planFolder(join(root, 'one'), options)).diffusion.conditioning, undefined)
})
