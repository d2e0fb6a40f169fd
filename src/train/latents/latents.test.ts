import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  bucketShapes,
  everySample,
  folderSource,
  loadPictures,
  openFolder,
  openShards,
  type Source,
} from '../../data/index.js'
import { modelConfig } from '../../pipelines/model-config.js'
import { testDevice } from '../../testing/device.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import type { TrainEvent } from '../events.js'
import { channelFactors } from './channel-factors.js'
import type { LatentOptions, Latents } from './contract.js'
import { encodeSource } from './latents.js'

const fixture = (name: string) => fileURLToPath(new URL(`../../../fixtures/data/${name}`, import.meta.url))
// Pixels are their own latents: whatever is kept can be told from the pictures.
const config = modelConfig.parse({ first_stage_config: { f: 1 } })
const checkpoint = { weights: new Map(), read: () => Promise.reject(new Error('pixels have no weights')) }
const entry = 2 * 4 * 3 * 8 * 8

const root = await temporaryFolder()
const device = await testDevice()

async function encode(
  source: Source,
  more: Partial<LatentOptions> = {},
): Promise<{ latents: Latents; told: TrainEvent[] }> {
  const told: TrainEvent[] = []
  const events = encodeSource({
    device,
    source,
    checkpoint,
    config,
    size: 8,
    flip: false,
    folder: join(root, 'cache'),
    ...more,
  })
  for (;;) {
    const { value, done } = await events.next()
    if (done) return { latents: value, told }
    told.push(value)
  }
}
const emoji = async () => folderSource(await openFolder(fixture('emoji')))
const all = (latents: Latents) => latents.dataset.pictures.map((_, index) => ({ index, flip: 1 }))

test('latents lie in files of bounded size, equal those of the pictures, plain and mirrored, and are found again', async () => {
  const source = await emoji()
  const folder = join(root, 'bounded')
  const options = { flip: true, fileBytes: 2 * 5 * entry, folder }
  const { latents, told } = await encode(source, options)
  assert.deepEqual(latents.shape, [3, 8, 8])
  assert.ok(told.length > 0)
  const [name] = await readdir(folder)
  assert.deepEqual(await readdir(join(folder, name!)), ['00000.safetensors', '00001.safetensors', '00002.safetensors'])
  const samples = []
  for await (const sample of everySample(source)) samples.push(sample)
  const { pixels } = await loadPictures(samples, {
    transform: { size: 8, crop: 'centre', flip: false, filter: 'bicubic' },
  })
  const { means, deviations } = await latents.read(all(latents))
  assert.deepEqual(means, pixels)
  assert.ok(deviations.every(value => value >= 0 && value < 1e-3))
  const draws = [7, 2, 2, 11].map((index, i) => ({ index, flip: i % 2 }))
  const some = await latents.read(draws)
  for (const [i, { index, flip }] of draws.entries()) {
    const row = (n: number, x: number, y: number) => pixels[n * 192 + y * 8 + x]
    assert.equal(some.means[i * 192 + 3 * 8 + 1], row(index, flip ? 1 : 6, 3))
  }
  const again = await encode(await emoji(), options)
  assert.deepEqual(again.told, [])
  assert.deepEqual((await again.latents.read(draws)).means, some.means)
  const { scale_factor, shift_factor } = await channelFactors(latents, [0, 1, 2])
  const reds = [0, 1, 2].flatMap(n => [...pixels.subarray(n * 192, n * 192 + 64)])
  const mean = reds.reduce((a, b) => a + b) / reds.length
  assert.ok(Math.abs(shift_factor[0]! - mean) < 1e-6)
  assert.ok(
    Math.abs(scale_factor[0]! - 1 / Math.sqrt(reds.reduce((sum, x) => sum + (x - mean) ** 2, 0) / reds.length)) < 1e-3,
  )
  await latents.close()
  await again.latents.close()
})

test('an interrupted run leaves whole files, which the next one goes on after', async () => {
  const folder = join(root, 'interrupted')
  const options = { fileBytes: 4 * entry, folder }
  const abort = new AbortController()
  const events = encodeSource({
    device,
    source: await emoji(),
    checkpoint,
    config,
    size: 8,
    flip: false,
    ...options,
    signal: abort.signal,
  })
  await events.next()
  abort.abort()
  await assert.rejects(async () => {
    for await (const _ of events);
  }, /abort/i)
  const [name] = await readdir(folder)
  const before = await readdir(join(folder, name!))
  assert.deepEqual(before, ['00000.safetensors'])
  const first = await readFile(join(folder, name!, before[0]!))
  const { latents } = await encode(await emoji(), options)
  assert.equal(latents.dataset.pictures.length, 12)
  assert.deepEqual(await readFile(join(folder, name!, before[0]!)), first)
  const whole = await encode(await emoji(), { folder: join(root, 'whole') })
  assert.deepEqual(await latents.read(all(latents)), await whole.latents.read(all(latents)))
  await latents.close()
  await whole.latents.close()
})

test('shards: captions and classes are kept along, damage is left out and told again by the kept files', async () => {
  const folder = join(root, 'shards')
  const cut = join(root, 'cut.tar')
  await writeFile(cut, (await readFile(join(fixture('shards'), 'dots-000.tar'))).subarray(0, 9000))
  for (const run of ['computed', 'found']) {
    const { latents, told } = await encode(await openShards([cut, join(fixture('shards'), 'dots-001.tar.gz')]), {
      folder,
    })
    assert.equal(told.length > 0, run === 'computed')
    const { pictures, labels, skipped } = latents.dataset
    assert.deepEqual(pictures.at(-1)!.captions, ['picture 6'])
    assert.deepEqual([labels, pictures.at(-1)!.boxes?.length], [['0', '1'], 1])
    assert.ok(pictures.length > 3 && pictures.length < 7)
    assert.ok(skipped.some(({ place, reason }) => place === 'cut.tar' && /is cut short/.test(reason)))
    await latents.close()
  }
})

test('pictures sorted into buckets have latents of their own shapes, and one factor for all', async () => {
  const shapes = bucketShapes(8, { step: 2, max_ratio: 2 })
  const source = await openShards(join(fixture('shards'), 'dots-{000,002}.tar'))
  const { latents } = await encode(source, { shapes, folder: join(root, 'buckets'), flip: true })
  const wide = [0, 1, 2, 3]
  assert.deepEqual(
    latents.dataset.pictures.map((_, i) => latents.shapeOf(i)),
    [...wide.map(() => [3, 6, 10]), ...[4, 5, 6].map(() => [3, 10, 6])],
  )
  assert.deepEqual(latents.shape, [3, 6, 10])
  const { means, shape } = await latents.read([5, 4].map(index => ({ index, flip: 1 })))
  assert.deepEqual([shape, means.length], [[3, 10, 6], 2 * 180])
  await assert.rejects(
    latents.read([0, 5].map(index => ({ index, flip: 1 }))),
    /Cannot read latents \[3,10,6\] with others/,
  )
  const { shift_factor } = await channelFactors(latents, [0, 4])
  const both = await Promise.all([0, 4].map(index => latents.read([{ index, flip: 1 }])))
  const reds = both.flatMap(({ means }) => [...means.subarray(0, 60)])
  assert.ok(Math.abs(shift_factor[0]! - reds.reduce((a, b) => a + b) / 120) < 1e-6)
  await latents.close()
})

test('a damaged picture is left out and told, or ends the run', async () => {
  const folder = join(root, 'damaged')
  await cp(fixture('emoji'), folder, { recursive: true })
  const source = folderSource(await openFolder(folder))
  const broken = source.pictures![3]!.file
  await writeFile(join(folder, broken), 'no picture')
  const { latents } = await encode(source, { folder: join(root, 'damaged-latents') })
  assert.equal(latents.dataset.pictures.length, 11)
  assert.deepEqual([source.skipped.count, source.skipped.examples[0]!.place], [1, broken])
  assert.equal((await latents.read([{ index: 10, flip: 1 }])).means.length, 192)
  await latents.close()
  await assert.rejects(
    encode(source, { folder: join(root, 'refused'), damaged: 'refuse' }),
    /no picture of a known kind/,
  )
})

test('a picture, the size or the first stage that changes has latents of its own', async () => {
  const copy = join(root, 'copy')
  await cp(fixture('emoji'), copy, { recursive: true })
  const folder = join(root, 'keys')
  const source = async () => folderSource(await openFolder(copy))
  const count = async (more: Partial<LatentOptions> = {}) => {
    const { latents } = await encode(await source(), { folder, ...more })
    await latents.close()
    return (await readdir(folder)).length
  }
  assert.equal(await count(), 1)
  assert.equal(await count(), 1)
  assert.equal(await count({ size: 4 }), 2)
  assert.equal(await count({ flip: true }), 3)
  const file = join(copy, (await source()).pictures![0]!.file)
  const bytes = await readFile(file)
  await writeFile(file, await readFile(join(copy, (await source()).pictures![1]!.file)))
  assert.equal(await count(), 4)
  await writeFile(file, bytes)
  assert.equal(await count(), 4)
  await writeFile(
    join(copy, 'captions.jsonl'),
    (await readFile(join(copy, 'captions.jsonl'), 'utf8')).replaceAll('heart', 'HEART'),
  )
  const { latents } = await encode(await source(), { folder })
  assert.ok(
    latents.dataset.pictures.some(({ captions }) => captions[0]?.includes('HEART')),
    'captions are never stale',
  )
  await latents.close()
  assert.equal((await readdir(folder)).length, 4)
})

test('latents that are deleted or damaged while they are used say what to do', async () => {
  const folder = join(root, 'gone')
  const { latents } = await encode(await emoji(), { folder })
  const [name] = await readdir(folder)
  const path = join(folder, name!, '00000.safetensors')
  const bytes = await readFile(path)
  await rm(join(folder, name!), { recursive: true })
  await assert.rejects(
    latents.read([{ index: 0, flip: 1 }]),
    /the latents are gone; go on with --resume, which computes them/,
  )
  const { latents: again } = await encode(await emoji(), { folder })
  await again.read([{ index: 0, flip: 1 }])
  await rm(join(folder, name!), { recursive: true })
  assert.equal((await again.read([{ index: 0, flip: 1 }])).means.length, 192, 'a file that is open stays readable')
  await again.close()
  await encode(await emoji(), { folder })
  await writeFile(path, bytes.subarray(0, bytes.length - 9))
  await assert.rejects(encode(await emoji(), { folder }), /safetensors/)
})

test('a disk that fills up ends it with a word, and what was finished is used later', {
  skip: process.platform === 'win32',
}, async () => {
  const folder = join(root, 'full')
  const script = `
    import { encodeSource } from ${JSON.stringify(new URL('./latents.js', import.meta.url))}
    import { folderSource, openFolder } from ${JSON.stringify(new URL('../../data/index.js', import.meta.url))}
    import { modelConfig } from ${JSON.stringify(new URL('../../pipelines/model-config.js', import.meta.url))}
    import { openDevice } from ${JSON.stringify(new URL('../../runtime/index.js', import.meta.url))}
    const device = await openDevice('cpu', { threads: 1 })
    const source = folderSource(await openFolder(${JSON.stringify(fixture('emoji'))}))
    const config = modelConfig.parse({ first_stage_config: { f: 1 } })
    const options = { device, source, checkpoint: { weights: new Map() }, config, size: 8, flip: false }
    try {
      for await (const _ of encodeSource({ ...options, folder: ${JSON.stringify(folder)}, fileBytes: Number(process.argv[1]) }));
    } catch (error) {
      console.log(error.name, error.message)
    }
    process.exit()`
  // The limit on the size of a file stands for the full disk: a file of 9 pictures does not fit, one of 4 does.
  const run = (pictures: number) =>
    spawnSync(
      'bash',
      [
        '-c',
        'ulimit -f 16; trap "" XFSZ; exec "$0" --input-type=module -e "$1" -- "$2"',
        process.execPath,
        script,
        String(pictures * entry),
      ],
      { encoding: 'utf8' },
    ).stdout
  assert.match(run(12), /^FileError .*00000\.safetensors: .*cannot be written.*(choose another place|free some space)/)
  const [name] = await readdir(folder)
  assert.deepEqual(await readdir(join(folder, name!)), [])
  const { latents } = await encode(await emoji(), { folder })
  assert.equal(latents.dataset.pictures.length, 12)
  await latents.close()
})
