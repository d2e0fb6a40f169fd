import assert from 'node:assert/strict'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { decodeImage } from '../../image/index.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import {
  type BatchState,
  everySample,
  openParquet,
  pictureBatches,
  type Sample,
  type Source,
  transformSchema,
} from '../index.js'

const fixtures = fileURLToPath(new URL('../../../fixtures/data/parquet/', import.meta.url))
const squares = join(fixtures, 'squares-00000-of-00002.parquet')
const folder = await temporaryFolder()

async function all(source: Source): Promise<Sample[]> {
  const samples: Sample[] = []
  for await (const sample of everySample(source)) samples.push(sample)
  return samples
}

test('files that pyarrow wrote, as Hugging Face lays them out and plain ones', async () => {
  const source = await openParquet(squares)
  assert.equal(source.parts, 3)
  const samples = await all(source)
  assert.deepEqual(
    samples.map(({ key, captions, label }) => [key.split('/')[1], captions, label]),
    [0, 1, 2, 3, 4, 6].map(i => [String(i), i === 2 ? [] : [`picture ${i}`], String(i % 2)]),
  )
  assert.match(source.skipped.examples[0]!.place, /squares-00000-of-00002\.parquet\/5$/)
  assert.match(source.skipped.examples[0]!.reason, /no picture in its column "image"/)
  for (const sample of samples) assert.equal((await decodeImage(await sample.bytes())).width, 12)
  const [plain] = await all(await openParquet(join(fixtures, 'plain.parquet')))
  assert.deepEqual([plain!.captions, plain!.label], [['picture 7', 'square 7'], '1'])
  assert.equal((await all(await openParquet(join(fixtures, '{plain,squares-00000-of-00002}.parquet')))).length, 8)
})

test('columns by name: the nearest one is offered, others than pictures are refused', async () => {
  const named = await openParquet(squares, { columns: { image: 'image', caption: 'text', label: 'label' } })
  assert.equal((await all(named)).length, 6)
  const refused = (columns: object, message: RegExp) => assert.rejects(openParquet(squares, { columns }), message)
  await refused({ caption: 'txt' }, /has no column "txt"; did you mean "text"\? \(it has image, text, label\)/)
  await refused({ image: 'text' }, /its column "text" holds no pictures: wanted bytes/)
})

test('files of a test split are held out, and classes have the names of the data set', async () => {
  const data = join(folder, 'hub', 'data')
  await mkdir(data, { recursive: true })
  await cp(squares, join(data, 'train-00000-of-00001.parquet'))
  await cp(squares, join(data, 'test-00000-of-00001.parquet'))
  const samples = await all(await openParquet(join(folder, 'hub')))
  assert.deepEqual(
    samples.map(({ split }) => split),
    [...Array(6).fill('test'), ...Array(6).fill('train')],
  )
})

test('the same sequence after going on as without', async () => {
  const run = async (start: { seed: number } | BatchState, count: number) => {
    const options = { batch: 2, transform: transformSchema.parse({ size: 8 }), heldOut: 0, window: 4 }
    const seen: { keys: string[]; state: BatchState }[] = []
    for await (const { pictures, state } of pictureBatches(await openParquet(fixtures), start, options)) {
      seen.push({ keys: pictures.map(({ drawn }) => drawn.sample.key), state })
      if (seen.length === count) break
    }
    return seen
  }
  const whole = await run({ seed: 3 }, 9)
  for (const at of [1, 3, 5]) {
    assert.deepEqual(await run(JSON.parse(JSON.stringify(whole[at - 1]!.state)), 9 - at), whole.slice(at))
  }
})

test('files cut short are left out and named; alone they are refused', async () => {
  const bytes = await readFile(squares)
  const half = join(folder, 'half.parquet')
  await writeFile(half, bytes.subarray(0, 2000))
  const source = await openParquet([squares, half])
  assert.equal((await all(source)).length, 6)
  assert.deepEqual(source.skipped.examples[0], {
    place: 'half.parquet',
    reason: 'is cut short or no Parquet file: it does not end in PAR1',
  })
  await assert.rejects(openParquet(half), /holds no rows in 1 Parquet files; half\.parquet is cut short/)
  await assert.rejects(openParquet(join(folder, 'none.parquet')), /there is no such file/)
  await mkdir(join(folder, 'empty'))
  await assert.rejects(openParquet(join(folder, 'empty')), /looked for \.parquet/)
})

test('damage anywhere is left out, refused or not noticed, never more', async () => {
  const bytes = await readFile(squares)
  const path = join(folder, 'damaged.parquet')
  const flips = fc.array(fc.tuple(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 })), {
    minLength: 1,
    maxLength: 4,
  })
  await fc.assert(
    fc.asyncProperty(flips, async changes => {
      const broken = new Uint8Array(bytes)
      for (const [at, value] of changes) broken[at] = value
      await writeFile(path, broken)
      try {
        for await (const { held } of everySample(await openParquet(path))) assert.ok(held > 0)
      } catch (error) {
        assert.equal((error as Error).name, 'FileError', String(error))
      }
    }),
    { numRuns: 100 },
  )
})
