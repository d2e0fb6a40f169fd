import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { openSource } from '#platform'
import { FileError } from '../platform/errors.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { type TensorData, toFloat64 } from './dtypes.js'
import { encodeSafetensors, openSafetensors, readSafetensors, writeSafetensors } from './safetensors.js'

const fixtures = fileURLToPath(new URL('../../fixtures/conformance/formats', import.meta.url))
const good = join(fixtures, 'safetensors_good')
const folder = await temporaryFolder()

type Expected = Record<string, Record<string, { dtype: string; shape: number[]; values: unknown[] }>>

test('valid files are read value by value, also the unusual ones', async () => {
  const expected: Expected = JSON.parse(await readFile(join(good, 'expected.json'), 'utf8'))
  for (const [name, tensors] of Object.entries(expected)) {
    if (name.includes('/')) continue
    const file = await openSafetensors(await openSource(join(good, name)))
    assert.deepEqual([...file.tensors.keys()].sort(), Object.keys(tensors).sort())
    for (const [tensor, { shape, values }] of Object.entries(tensors)) {
      const data = await file.read(tensor)
      assert.deepEqual(data.shape, shape)
      assert.deepEqual([...toFloat64(data)], values.map(Number), `${name} ${tensor}`)
    }
    await file.close()
  }
  assert.equal(({} as Record<string, unknown>).dtype, undefined)
  const { metadata } = readSafetensors(await readFile(join(good, 'dtypes.safetensors')))
  assert.deepEqual(Object.fromEntries(metadata), { format: 'pt', note: 'naïve 猫' })
})

test('every malformed file is refused by name', async () => {
  const refuse = join(fixtures, 'safetensors_refuse')
  const names = (await readdir(refuse)).filter(name => name !== 'case.json')
  assert.ok(names.length > 30)
  for (const name of names) {
    const source = await openSource(join(refuse, name))
    await assert.rejects(openSafetensors(source), (error: Error) => {
      assert.ok(error instanceof FileError, `${name}: ${error.stack}`)
      assert.ok(error.message.includes(name) && error.message.length < 500, error.message)
      return true
    })
  }
})

const tensorOf = fc
  .record({ dtype: fc.constantFrom('F32', 'F16', 'U8', 'I64'), shape: fc.array(fc.nat(3), { maxLength: 3 }) })
  .chain(({ dtype, shape }) => {
    const length = shape.reduce((a, b) => a * b, 1) * { F32: 4, F16: 2, U8: 1, I64: 8 }[dtype]!
    return fc.uint8Array({ minLength: length, maxLength: length }).map(bytes => ({ dtype, shape, bytes }) as TensorData)
  })
const contents = fc.record({
  tensors: fc
    .array(
      fc.tuple(
        fc.string({ unit: 'grapheme' }).filter(name => name !== '__metadata__'),
        tensorOf,
      ),
    )
    .map(pairs => new Map(pairs)),
  metadata: fc.array(fc.tuple(fc.string(), fc.string({ unit: 'grapheme' }))).map(pairs => new Map(pairs)),
})

test('what is written is read back, in memory and on disk, aligned and in the same bytes whatever the order', async () => {
  let run = 0
  await fc.assert(
    fc.asyncProperty(contents, async ({ tensors, metadata }) => {
      const bytes = encodeSafetensors(tensors, metadata)
      const back = readSafetensors(bytes)
      assert.deepEqual([...back.metadata].sort(), [...metadata].sort())
      assert.equal(back.tensors.size, tensors.size)
      for (const [name, tensor] of tensors) assert.deepEqual({ ...back.tensors.get(name) }, tensor)
      const path = join(folder, `${run++}.safetensors`)
      await writeSafetensors(path, new Map([...tensors].reverse()), new Map([...metadata].reverse()))
      assert.deepEqual(new Uint8Array(await readFile(path)), bytes)
      const file = await openSafetensors(await openSource(path))
      for (const [name, { begin, end, shape }] of file.tensors) {
        const count = shape.reduce((a, b) => a * b, 1)
        if (count > 0) assert.equal(begin % ((end - begin) / count), 0, 'aligned')
        assert.deepEqual(bytes.slice(begin, end), tensors.get(name)!.bytes)
      }
      await file.close()
    }),
    { numRuns: 50 },
  )
})

test('a damaged file is refused, or its tensors are where its header says', () => {
  const original = encodeSafetensors(
    new Map<string, TensorData>([
      ['a', { dtype: 'F32', shape: [2, 2], bytes: new Uint8Array(16).fill(1) }],
      ['b', { dtype: 'U8', shape: [3], bytes: Uint8Array.of(7, 8, 9) }],
    ]),
    new Map([['config', '{"x": 1}']]),
  )
  const change = fc.tuple(fc.nat(original.length - 1), fc.nat(255))
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(original.length), (changes, length) => {
      const bytes = original.slice(0, length < 20 ? length : original.length)
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
      try {
        const { tensors } = readSafetensors(bytes)
        let total = 0
        for (const { dtype, shape, bytes: data } of tensors.values()) {
          const size = { F32: 4, U8: 1, I8: 1, I32: 4, U32: 4 }[dtype as string]
          if (size) assert.equal(data.length, size * shape.reduce((a, b) => a * b, 1))
          total += data.length
        }
        assert.equal(total, 19)
      } catch (error) {
        assert.ok(error instanceof FileError, String(error))
      }
    }),
    { numRuns: 3000 },
  )
})

test('what cannot be written is refused before the old file is touched', async () => {
  const path = join(folder, 'kept.safetensors')
  await writeSafetensors(path, new Map([['a', { dtype: 'U8', shape: [1], bytes: () => Uint8Array.of(5) }]]))
  const wrong = new Map([['a', { dtype: 'F32', shape: [2], bytes: async () => new Uint8Array(4) } as const]])
  await assert.rejects(writeSafetensors(path, wrong), /"a": F32 of shape \[2\] has 8 bytes, found 4/)
  assert.deepEqual([...readSafetensors(await readFile(path)).tensors.get('a')!.bytes], [5])
  assert.throws(
    () => encodeSafetensors(new Map([['__metadata__', { dtype: 'U8', shape: [0], bytes: new Uint8Array() }]])),
    RangeError,
  )
})

test('a missing tensor is named with its file', async () => {
  const file = await openSafetensors(await openSource(join(good, 'float8.safetensors')))
  await assert.rejects(file.read('nothing'), /float8.safetensors: has no tensor "nothing" among its 2/)
  await file.close()
})
