import assert from 'node:assert/strict'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { FileError, LatentkitError } from '../platform/errors.js'
import {
  type BatchState,
  batchSamples,
  bucketShapes,
  type Drawn,
  drawSamples,
  folderSource,
  heldOutSamples,
  isHeldOut,
  loadPictures,
  nearestShape,
  openFolder,
  openShards,
  pictureBatches,
  type Sample,
  type Source,
  transformSchema,
} from './index.js'
import { countSkipped } from './source.js'
import { boxesInView, viewOf } from './transform.js'

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/data/${name}`, import.meta.url))
const viaJson = <T>(value: T) => JSON.parse(JSON.stringify(value)) as T

/** A source of `sizes.length` parts; `held` bytes a sample. */
function sourceOf(sizes: readonly number[], { held = 0 } = {}): Source & { readonly opened: number[] } {
  const opened: number[] = []
  return {
    ...{ name: 'numbers', parts: sizes.length, labels: [], skipped: countSkipped(), opened },
    async *read(part, { from = 0 } = {}) {
      opened.push(part)
      for (let index = from; index < sizes[part]!; index++) {
        yield {
          key: `${part}/${index}`,
          address: [part, index],
          captions: [],
          held,
          bytes: async () => new Uint8Array(),
        }
      }
    },
    async *files() {},
  }
}

/** Whatever is drawn is loaded at once; `bad` samples are damaged; the shape follows the sample's number. */
const loader =
  (shapes = 1, bad: (key: string) => boolean = () => false) =>
  async (drawn: Drawn) => {
    if (bad(drawn.sample.key)) throw new FileError(drawn.sample.key, 'is damaged')
    return { drawn, shape: String(drawn.sample.address[1] % shapes) }
  }

type Batches = AsyncGenerator<{ items: readonly { drawn: Drawn; shape: string }[]; state: BatchState }>

async function take(count: number, batches: Batches) {
  const taken: { keys: string[]; shapes: Set<string>; state: BatchState }[] = []
  for await (const { items, state } of batches) {
    const keys = items.map(({ drawn: { sample, epoch, x } }) => `${epoch} ${sample.key} ${x}`)
    taken.push({ keys, shapes: new Set(items.map(({ shape }) => shape)), state })
    if (taken.length === count) break
  }
  return taken
}
const keysOf = (batches: readonly { keys: string[] }[]) => batches.flatMap(({ keys }) => keys)

const somewhere = {
  sizes: fc.array(fc.nat({ max: 9 }), { minLength: 1, maxLength: 6 }).filter(sizes => sizes.some(size => size > 0)),
  window: fc.integer({ min: 1, max: 12 }),
  seed: fc.nat(),
}

test('an epoch has every sample once, in a new order, whatever parts and windows are', async () => {
  await fc.assert(
    fc.asyncProperty(somewhere.sizes, somewhere.window, somewhere.seed, async (sizes, window, seed) => {
      const source = sourceOf(sizes)
      const total = sizes.reduce((a, b) => a + b)
      const epochs: string[][] = [[], [], []]
      const numbers: number[] = []
      for await (const { drawn } of drawSamples(source, { seed }, { window, heldOut: 0 })) {
        if (drawn.epoch === 3) break
        epochs[drawn.epoch]!.push(drawn.sample.key)
        numbers.push(drawn.number)
      }
      const every = sizes.flatMap((size, part) => Array.from({ length: size }, (_, i) => `${part}/${i}`))
      for (const epoch of epochs) assert.deepEqual(epoch.toSorted(), every.toSorted())
      assert.deepEqual(
        numbers,
        [0, 1, 2].flatMap(() => Array.from({ length: total }, (_, i) => i)),
      )
    }),
  )
  const [first, second] = await Promise.all(
    [1, 2].map(seed => take(4, batchSamples(sourceOf([50]), { seed }, { batch: 10, load: loader() }))),
  )
  assert.notDeepEqual(keysOf(first!), keysOf(second!))
})

test('batches go on from the state of any of them: shapes, windows, damage, read-ahead and all', async () => {
  const batch = fc.integer({ min: 1, max: 5 })
  const shapes = fc.integer({ min: 1, max: 3 })
  const cut = fc.integer({ min: 1, max: 8 })
  await fc.assert(
    fc.asyncProperty(
      somewhere.sizes,
      somewhere.window,
      somewhere.seed,
      batch,
      shapes,
      cut,
      async (sizes, window, seed, batch, shapes, cut) => {
        const bad = (key: string) => key.endsWith('/4')
        const total = sizes.reduce((sum, size) => sum + (size > 4 ? size - 1 : size), 0)
        fc.pre(total > 0)
        const options = { batch, window, heldOut: 0, load: loader(shapes, bad) }
        const whole = await take(cut + 6, batchSamples(sourceOf(sizes), { seed }, { ...options, prefetch: 3 }))
        const state = viaJson(whole[cut - 1]!.state)
        const rest = await take(6, batchSamples(sourceOf(sizes), state, { ...options, prefetch: 0 }))
        assert.deepEqual(keysOf(rest), keysOf(whole.slice(cut)))
        for (const one of whole) assert.equal(one.shapes.size, 1)
        const drawn = [
          ...keysOf(whole),
          ...whole.at(-1)!.state.pending.map(({ at, epoch }) => `${epoch} ${at.join('/')} `),
        ]
        assert.equal(
          new Set(drawn.map(key => key.split(' ').slice(0, 2).join(' '))).size,
          drawn.length,
          'none twice in an epoch',
        )
        const complete = drawn.filter(key => key.startsWith('0 '))
        if (whole.at(-1)!.state.draws.epoch > 0) assert.equal(complete.length, total, 'none lost')
      },
    ),
    { numRuns: 60 },
  )
})

test('N processes compute what one would with N times the batch', async () => {
  const load = loader()
  const one = await take(5, batchSamples(sourceOf([7, 20, 5]), { seed: 3 }, { batch: 6, load, heldOut: 0 }))
  const parts = await Promise.all(
    [0, 1].map(rank =>
      take(
        5,
        batchSamples(sourceOf([7, 20, 5]), { seed: 3 }, { batch: 3, load, heldOut: 0, share: { rank, size: 2 } }),
      ),
    ),
  )
  for (const [i, { keys, state }] of one.entries()) {
    assert.deepEqual([...parts[0]![i]!.keys, ...parts[1]![i]!.keys], keys)
    assert.deepEqual(parts[0]![i]!.state, state, 'so that another number of processes can go on')
  }
})

test('windows keep to their bytes and the next one is read ahead', async () => {
  const source = sourceOf([100, 100], { held: 10 })
  const draws = drawSamples(source, { seed: 1 }, { window: 1000, windowBytes: 200, heldOut: 0 })
  const { value } = await draws.next()
  assert.equal(value!.state.taken, 1)
  assert.ok(source.opened.length <= 3)
  const seen = new Set<string>()
  for (let i = 0; i < 19; i++) seen.add((await draws.next()).value!.drawn.sample.key)
  assert.equal(seen.size, 19)
  assert.equal((await draws.next()).value!.state.before, 20)
})

test('damaged samples are left out and counted, or refused; an epoch of nothing else ends the run', async () => {
  const source = sourceOf([10])
  const load = loader(1, key => key === '0/3')
  await take(6, batchSamples(source, { seed: 1 }, { batch: 3, load, heldOut: 0 }))
  assert.deepEqual([source.skipped.count, source.skipped.examples[0]!.place], [1, '0/3'])
  const all = { batch: 3, heldOut: 0, load: loader(1, () => true) }
  await assert.rejects(
    batchSamples(sourceOf([4]), { seed: 1 }, all).next(),
    /no picture that can be read; 4 are damaged: 0\/\d/,
  )
  await assert.rejects(batchSamples(sourceOf([4]), { seed: 1 }, { ...all, damaged: 'refuse' }).next(), /is damaged/)
  const codec = async () => {
    throw new LatentkitError('install it')
  }
  await assert.rejects(batchSamples(sourceOf([4]), { seed: 1 }, { ...all, load: codec }).next(), /install it/)
  await assert.rejects(drawSamples(sourceOf([0, 0]), { seed: 1 }).next(), /numbers: holds no picture to train on/)
  await assert.rejects(drawSamples(sourceOf([3]), { seed: 1 }, { heldOut: 1 }).next(), /no picture to train on/)
  const { state } = (await drawSamples(sourceOf([3, 4]), { seed: 1 }, { heldOut: 0 }).next()).value!
  await assert.rejects(
    drawSamples(sourceOf([3]), state).next(),
    /Cannot go on .* 1 parts now. Resume with the same data/,
  )
})

test('what is held out is never drawn and is the same every time', async () => {
  const source = sourceOf([200, 200])
  const held = await heldOutSamples(source, 30)
  assert.ok(held.length > 5 && held.every(sample => isHeldOut(sample)))
  const drawn = await take(30, batchSamples(source, { seed: 1 }, { batch: 10, load: loader() }))
  const trained = new Set(keysOf(drawn).map(key => key.split(' ')[1]))
  assert.ok(held.every(({ key }) => !trained.has(key)))
  assert.equal((await heldOutSamples(source, 3)).length, 3)
  assert.deepEqual(
    (await heldOutSamples(source, 3, { heldOut: 0 })).map(({ key }) => key),
    ['0/0', '0/1', '0/2'],
  )
  assert.equal(isHeldOut({ key: 'x', split: 'train' }, 1), false)
  assert.equal(isHeldOut({ key: 'x', split: 'val' }, 0), true)
})

test('the same sequence after going on as without, from a folder and from shards', async () => {
  const folder = folderSource(await openFolder(fixture('emoji')))
  const shards = await openShards(fixture('shards'))
  for (const source of [folder, shards]) {
    const transform = transformSchema.parse({ size: 8, crop: 'random', flip: true })
    const shapes = bucketShapes(8, { step: 4, max_ratio: 2 })
    const options = { batch: 2, transform, shapes, window: 4, heldOut: 0 }
    const run = async (start: { seed: number } | BatchState, count: number) => {
      const seen = []
      for await (const { pictures, pixels, state } of pictureBatches(source, start, options)) {
        seen.push({
          keys: pictures.map(({ drawn }) => drawn.sample.key),
          captions: pictures.map(p => p.caption),
          pixels,
          state,
        })
        if (seen.length === count) return seen
      }
      throw new Error('batches end')
    }
    const whole = await run({ seed: 7 }, 12)
    for (const at of [1, 4, 9]) assert.deepEqual(await run(viaJson(whole[at - 1]!.state), 12 - at), whole.slice(at))
    assert.ok(JSON.stringify(whole[11]!.state).length < 1000)
  }
})

test('buckets have nearly one area and hold every aspect ratio, each picture in the nearest', async () => {
  const shapes = bucketShapes(1024, { step: 64, max_ratio: 4 })
  assert.ok(shapes.some(({ width, height }) => width === 1024 && height === 1024))
  assert.ok(
    shapes.some(({ width, height }) => width === 1152 && height === 896),
    'as SDXL has it',
  )
  for (const { width, height } of shapes) {
    assert.equal((width % 64) + (height % 64), 0)
    assert.ok(width * height <= 2 ** 20 && width * height > 0.85 * 2 ** 20, `${width}x${height}`)
    assert.ok(shapes.some(other => other.width === height && other.height === width))
  }
  assert.deepEqual(nearestShape(shapes, { width: 640, height: 480 }), { width: 1152, height: 896 })
  assert.throws(() => bucketShapes(100, { step: 64, max_ratio: 2 }), /must be a multiple/)
  const source = await openShards(fixture('shards'))
  const transform = transformSchema.parse({ size: 8 })
  const sides: Sample[] = await heldOutSamples(source, 1, { heldOut: 0 })
  const batch = await loadPictures(sides, { transform, shapes: bucketShapes(8, { step: 2, max_ratio: 2 }) })
  assert.deepEqual([batch.width, batch.height, batch.pixels.length], [10, 6, 180])
})

test('boxes follow cuts and mirrors', () => {
  const transform = transformSchema.parse({ size: 10, flip: true })
  const chances = { x: 0, y: 0, flip: 0 }
  // 40x20 is scaled to 20x10; its middle is seen, from a quarter to three quarters.
  const view = viewOf({ width: 40, height: 20 }, transform, chances)
  const box = (label: string, ...box: [number, number, number, number]) => ({ label, box })
  assert.deepEqual(
    boxesInView([box('left', 0, 0, 0.5, 1), box('gone', 0, 0, 0.2, 1), box('all', 0, 0.5, 1, 0.5)], view),
    [box('left', 0.5, 0, 0.5, 1), box('all', 0, 0.5, 1, 0.5)],
  )
})
