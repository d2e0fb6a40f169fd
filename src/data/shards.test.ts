import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { decodeImage, encodePng } from '../image/index.js'
import { bytesSource } from '../platform/sources.js'
import { type Entry, tarOf } from '../testing/tar.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { expandBraces } from './braces.js'
import { fileReader, pieceReader } from './byte-reader.js'
import { openShards } from './shards.js'
import { everySample, type Sample, type Source, samplesAt } from './source.js'
import { readTar, type TarProblem } from './tar.js'

const fixtures = fileURLToPath(new URL('../../fixtures/data/shards', import.meta.url))
const folder = await temporaryFolder()
const picture = await encodePng({ data: new Uint8Array(12).fill(200), width: 2, height: 2, channels: 3 })

async function all(source: Source): Promise<Sample[]> {
  const samples: Sample[] = []
  for await (const sample of everySample(source)) samples.push(sample)
  return samples
}

let count = 0
async function shard(entries: readonly Entry[] | Uint8Array): Promise<string> {
  const path = join(folder, `${count++}.tar`)
  await writeFile(path, entries instanceof Uint8Array ? entries : tarOf(entries))
  return path
}

const pair = (key: string, caption = key): Entry[] => [
  { name: `${key}.png`, data: picture },
  { name: `${key}.txt`, data: caption },
]
const keys = (samples: readonly Sample[]) => samples.map(({ key }) => key.replace(/^\d+\.tar\//, ''))
const problems = ({ skipped }: Source) => skipped.examples.map(({ place, reason }) => `${place} ${reason}`)

test('shards that tar wrote, plain and packed, with long names: pictures, captions, classes, boxes', async () => {
  const source = await openShards(join(fixtures, 'dots-{000.tar,001.tar.gz,002.tar}'))
  const samples = await all(source)
  assert.deepEqual(
    samples.map(({ captions, label }) => [captions, label]),
    [0, 1, 2, 3, 4, 5, 6, 4, 5, 6].map(i => [[`picture ${i}`], String(i % 2)]),
  )
  assert.equal(samples[0]!.key, 'dots-000.tar/000')
  assert.deepEqual(samples[4]!.boxes, [{ label: 'dot', box: [0, 0, 0.5, 0.5] }])
  assert.ok(samples[4]!.key.length > 150)
  for (const [i, sample] of samples.entries()) {
    const { width, data } = await decodeImage(await sample.bytes())
    assert.equal(width, i < 4 ? 12 : 8)
    assert.equal(data.includes(255), true)
  }
  assert.equal(source.skipped.count, 0)
  assert.deepEqual(await all(await openShards(fixtures)).then(keys), keys(samples), 'a folder of shards is the same')
  const some = [samples[8]!, samples[1]!, samples[6]!]
  assert.deepEqual(
    keys(
      await samplesAt(
        source,
        some.map(({ address }) => address),
      ),
    ),
    keys(some),
  )
  await assert.rejects(samplesAt(source, [[1, 99]]), /sample 99 of part 1 is gone/)
})

test('a shard cut anywhere gives what is whole before the cut, packed or not, and says so', async () => {
  const whole = tarOf([...pair('a'), ...pair('b'), ...pair('c')])
  const ends = [1, 2, 3].map(samples => samples * 4 * 512)
  const cuts = fc.integer({ min: 4 * 512, max: whole.length - 1025 })
  await fc.assert(
    fc.asyncProperty(cuts, fc.boolean(), async (cut, packed) => {
      const bytes = packed ? gzipSync(whole.subarray(0, cut)) : whole.subarray(0, cut)
      const source = await openShards(await shard(bytes))
      const found = keys(await all(source))
      const certain = ends.filter(end => end <= cut).length
      assert.ok(found.length >= certain && found.length <= certain + 1, `${found} of ${cut} bytes`)
      for (const sample of await all(source)) await decodeImage(await sample.bytes())
      assert.ok(problems(source).some(problem => /is cut short|damaged header/.test(problem)))
    }),
    { numRuns: 40 },
  )
  const packed = gzipSync(whole)
  const broken = await openShards(await shard(packed.subarray(0, packed.length - 20)))
  await all(broken)
  assert.equal(broken.skipped.count > 0, true)
})

test('what is no sample is left out, named and counted once', async () => {
  const source = await openShards(
    await shard([
      ...pair('good'),
      { name: 'text-only.txt', data: 'x' },
      { name: 'bad.png', data: picture },
      { name: 'bad.json', data: '{"caption": ' },
      { name: 'out.png', data: picture },
      { name: 'out.json', data: '{"boxes": [{"label": "a", "box": [0.9, 0, 0.9, 1]}]}' },
      { name: 'latin.png', data: picture },
      { name: 'latin.txt', data: Uint8Array.of(255, 254) },
      { name: '../up.png', data: picture },
      { name: 'bell\x07.png', data: picture },
      { name: 'no-extension', data: 'x' },
      { name: '.DS_Store', data: 'x' },
      { name: 'link.png', kind: '2' },
      { name: 'sparse.png', data: picture, kind: 'S' },
      { name: 'folder/', kind: '5' },
      ...pair('folder/last', 'the last\nof all'),
    ]),
  )
  const samples = await all(source)
  assert.deepEqual(keys(samples), ['good', 'folder/last'])
  assert.deepEqual(samples[1]!.captions, ['the last', 'of all'])
  const found = problems(source)
  assert.equal(source.skipped.count, 9)
  for (const wanted of [
    /text-only holds no picture \(found \.txt\)/,
    /bad its \.json is not JSON/,
    /out its \.json cannot be used: "boxes\.0\.box": .*outside the picture/,
    /latin cannot be read: .*UTF-8/,
    /\.\.\/up\.png is no name of a sample/,
    /bell\\u0007\.png is no name/,
    /no-extension is no name/,
    /link\.png is a link/,
    /sparse\.png is stored in a form for sparse files/,
  ]) {
    assert.ok(
      found.some(problem => wanted.test(problem)),
      String(wanted),
    )
  }
  await all(source)
  assert.equal(source.skipped.count, 9)
})

test('sizes that headers declare cost nothing', async () => {
  const bomb: Entry = { name: 'bomb.png', size: 8 ** 11 - 1 }
  const plain = await openShards(await shard([...pair('a'), bomb]))
  assert.deepEqual(keys(await all(plain)), ['a'])
  assert.match(problems(plain).join(), /bomb\.png declares 8589934591 bytes; at most 134217728 are read.*is cut short/)
  const packed = await openShards(await shard(gzipSync(tarOf([...pair('a'), bomb, ...pair('b')]))))
  assert.deepEqual(keys(await all(packed)), ['a'])
  assert.match(problems(packed).join(), /the rest is not unpacked/)
  const long = await openShards(await shard([...pair('a'), { name: 'x', size: 2 ** 30, kind: 'L' }]))
  await all(long)
  assert.match(problems(long).join(), /extended header that declares 1073741824 bytes/)
  const chain = Array.from({ length: 20 }, () => ({ name: 'x', data: 'y', kind: 'L' }))
  const chained = await openShards(await shard([...pair('a'), ...chain]))
  await all(chained)
  assert.match(problems(chained).join(), /more than 16 extended headers/)
})

test('no damage makes the reader fail or hang', async () => {
  const good = tarOf([...pair('a'), { name: 'x', data: '18 path=long.txt\n\n', kind: 'x' }, ...pair('b')])
  const flips = fc.array(fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 })), {
    minLength: 1,
    maxLength: 8,
  })
  await fc.assert(
    fc.asyncProperty(flips, fc.boolean(), async (changes, asStream) => {
      const bytes = new Uint8Array(good)
      for (const [at, value] of changes) bytes[at] = value
      const source = bytesSource(bytes)
      async function* stream() {
        for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100)
      }
      const found: TarProblem[] = []
      const reader = asStream ? pieceReader(stream(), async () => {}) : fileReader(source)
      const options = { maxBytes: 2 ** 20, onProblem: (problem: TarProblem) => found.push(problem) }
      for await (const member of readTar(reader, options)) {
        const data = await member.bytes().catch(() => undefined)
        assert.ok(data === undefined || data.length === member.size)
      }
    }),
    { numRuns: 200 },
  )
})

test('shards that are missing, empty or no archives: what was looked for and found', async () => {
  await assert.rejects(
    openShards(join(fixtures, 'dots-{000..009}.tar')),
    /dots-001\.tar: there is no such shard; 8 of 10 are missing/,
  )
  await assert.rejects(openShards(folder.replace(/$/, '-nowhere')), /there is no such shard/)
  await assert.rejects(openShards(join(fixtures, '..', 'emoji')), /holds no shards: looked for \.tar/)
  await assert.rejects(
    openShards(await shard([{ name: 'a.txt', data: 'x' }])),
    /holds no pictures: looked for \.png.*found \.txt/,
  )
  await assert.rejects(openShards(await shard(picture)), /holds no pictures.*(cut short|damaged header)/)
  await assert.rejects(openShards(await shard(new Uint8Array())), /cut short: the end of the archive is missing/)
  assert.deepEqual(keys(await all(await openShards(await shard(tarOf(pair('a'), false))))), ['a'])
})

test('braces are those of a shell', () => {
  assert.deepEqual(expandBraces('a-{08..11}.tar'), ['a-08.tar', 'a-09.tar', 'a-10.tar', 'a-11.tar'])
  assert.deepEqual(expandBraces('{2..0}'), ['2', '1', '0'])
  assert.deepEqual(expandBraces('{x,y{1..2}}/{a,b}'), ['x/a', 'x/b', 'y1/a', 'y1/b', 'y2/a', 'y2/b'])
  assert.deepEqual(expandBraces('plain.tar'), ['plain.tar'])
  assert.deepEqual(expandBraces('{a}-{1..2}'), ['{a}-1', '{a}-2'])
  assert.throws(() => expandBraces('{0..999999999}'), /more than 100000 names/)
  assert.throws(() => expandBraces('{0..9999}{0..9999}'), /more than 100000 names/)
})
