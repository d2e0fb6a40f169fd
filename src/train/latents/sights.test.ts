import assert from 'node:assert/strict'
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import type { Sight } from '../../conditioning/index.js'
import {
  bucketShapes,
  folderSource,
  openFolder,
  openParquet,
  openShards,
  type Source,
  withHints,
} from '../../data/index.js'
import { modelConfig } from '../../pipelines/model-config.js'
import { testDevice } from '../../testing/device.js'
import { tarOf } from '../../testing/tar.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import type { LatentOptions, Latents } from './contract.js'
import { encodeSource } from './latents.js'

const scenes = fileURLToPath(new URL('../../../fixtures/data/scenes/', import.meta.url))
const numbers = [0, 1, 2, 3]
const config = modelConfig.parse({ first_stage_config: { f: 1 } })
const checkpoint = { weights: new Map(), read: () => Promise.reject(new Error('pixels have no weights')) }

const root = await temporaryFolder()
const device = await testDevice()
/** The same pictures, maps and boxes three times over. */
let sources: Record<'folder' | 'shards' | 'parquet', Source>
before(async () => {
  const records = (await readFile(join(scenes, 'captions.jsonl'), 'utf8')).split('\n').slice(0, 4)
  const folder = join(root, 'folder')
  for (const i of numbers)
    for (const ending of ['.jpg', '.map.png'])
      await cp(join(scenes, `images/${i}${ending}`), join(folder, `${i}${ending}`))
  await writeFile(join(folder, 'captions.jsonl'), records.join('\n').replaceAll('images/', ''))
  const members = numbers.map(async i => [
    { name: `${i}.jpg`, data: await readFile(join(folder, `${i}.jpg`)) },
    { name: `${i}.json`, data: records[i]! },
    { name: `${i}.map.png`, data: await readFile(join(folder, `${i}.map.png`)) },
  ])
  // A packed shard is a stream: nothing in it can be read again by itself.
  await writeFile(join(root, 'scenes.tar.gz'), gzipSync(tarOf((await Promise.all(members)).flat())))
  sources = {
    folder: folderSource(await openFolder(folder)),
    shards: await openShards(join(root, 'scenes.tar.gz')),
    parquet: await openParquet(join(scenes, 'scenes.parquet')),
  }
})

async function encode(source: Source, more: Partial<LatentOptions> = {}): Promise<Latents> {
  const given = { device, source, checkpoint, config, size: 16, flip: true, folder: join(root, 'cache') }
  const events = encodeSource({ ...given, sights: ['size', 'pixels', 'map', 'hint'], ...more })
  for (;;) {
    const { value, done } = await events.next()
    if (done) return value
  }
}

/** All that conditions see of all pictures, plain and mirrored. */
const seen = ({ see }: Latents) =>
  Promise.all(
    [0, 1].flatMap(flip =>
      numbers.map(async index => {
        const { mirrored, size, visible, pixels, map, hint } = see({ index, flip })
        return [mirrored, await size(), await visible(), await pixels(), await map(), await hint()]
      }),
    ),
  )

for (const [what, shapes] of [
  ['squares', undefined],
  ['buckets', bucketShapes(16, { step: 4, max_ratio: 2 })],
] as const) {
  test(`shards and Parquet files show conditions what a folder shows, to the bit, in ${what}`, async () => {
    const [folder, shards, parquet] = await Promise.all(
      [sources.folder, sources.shards, withoutHints(sources.parquet)].map(source => encode(source, { shapes })),
    )
    const wanted = await seen(folder!)
    assert.equal((wanted[0]![4] as Uint8Array).length, (wanted[0]![3] as Float32Array).length / 3)
    assert.deepEqual(await seen(shards!), wanted)
    assert.deepEqual(await seen(parquet!), wanted)
    assert.deepEqual(
      parquet!.dataset.pictures.map(({ boxes }) => boxes),
      folder!.dataset.pictures.map(({ boxes }) => boxes),
    )
    for (const latents of [folder!, shards!, parquet!]) await latents.close()
  })
}

const withoutHints = (source: Source): Source => ({
  ...source,
  async *read(part, options) {
    for await (const { hint: _, ...sample } of source.read(part, options)) yield sample
  },
})

test('hints come with the samples or from a folder, mirrored as their pictures', async () => {
  const { parquet, folder, shards } = sources
  const sights: readonly Sight[] = ['hint']
  const own = await encode(parquet, { sights })
  assert.equal(await own.see({ index: 3, flip: 1 }).hint(), undefined, 'one row has none')
  const hints = join(root, 'hints')
  // Hints in the folder are the pictures themselves.
  for (const i of numbers) await cp(join(scenes, `images/${i}.jpg`), join(hints, `${i}.jpg`))
  for (const source of [folder, shards]) {
    const latents = await encode(await withHints(source, hints), { sights: ['pixels', 'hint'] })
    for (const flip of [0, 1]) {
      const { pixels, hint } = latents.see({ index: 2, flip })
      assert.deepEqual(
        await hint(),
        (await pixels()).map(value => (value + 1) / 2),
      )
    }
    await latents.close()
  }
  await own.close()
  await rm(join(hints, '1.jpg'))
  await assert.rejects(
    async () => encode(await withHints(shards, hints)),
    /has no hint for scenes\.tar\.gz\/1: call it/,
  )
})

test('files of latents stay bounded with what they keep, and are not those that keep nothing', async () => {
  const folder = join(root, 'bounded')
  const fileBytes = 2 * 8 * 3 * 16 * 16 * 2
  const keeping = await encode(sources.shards, { folder, fileBytes })
  const plain = await encode(sources.shards, { folder, sights: [] })
  assert.deepEqual(await keeping.see({ index: 3, flip: 0 }).size(), { width: 128, height: 128 })
  assert.deepEqual(
    (await keeping.read([{ index: 3, flip: 0 }])).means,
    (await plain.read([{ index: 3, flip: 0 }])).means,
  )
  await keeping.close()
  await plain.close()
})
