import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { openSource } from '#platform'
import { FileError } from '../../platform/errors.js'
import { bytesSource } from '../../platform/sources.js'
import { elementCount, toFloat32 } from '../dtypes.js'
import { readSafetensors } from '../safetensors.js'
import { type GgufFile, openGguf } from './gguf.js'

const fixtures = fileURLToPath(new URL('../../../fixtures', import.meta.url))
const folder = join(fixtures, 'conformance', 'formats', 'gguf')

async function checkTensors(file: GgufFile, expected: string): Promise<void> {
  const { tensors } = readSafetensors(await readFile(expected))
  assert.deepEqual([...file.tensors.keys()].sort(), [...tensors.keys()].sort())
  for (const [name, tensor] of tensors) {
    const found = await file.read(name)
    assert.deepEqual(found.shape, tensor.shape)
    assert.deepEqual(toFloat32(found), toFloat32(tensor), name)
  }
  await file.close()
}

test('a file with values of every type and tensors of the simple ones is read exactly', async () => {
  const file = await openGguf(await openSource(join(folder, 'good.gguf')))
  const expected = JSON.parse(await readFile(join(folder, 'good.metadata.json'), 'utf8'))
  const plain = [...file.values].map(([key, { type, value }]) => [
    key,
    { type, value: typeof value === 'bigint' ? String(value) : value },
  ])
  assert.deepEqual(Object.fromEntries(plain), expected)
  assert.equal(file.metadata.get('general.name'), 'naïve 猫')
  await checkTensors(file, join(folder, 'good.expected.safetensors'))
})

// Blocks of random bytes, dequantised by the Python package gguf 0.19.0.
test('the K-quants are dequantised exactly', async () => {
  const file = await openGguf(await openSource(join(fixtures, 'weights', 'k-quants.gguf')))
  await checkTensors(file, join(fixtures, 'weights', 'k-quants.expected.safetensors'))
})

test('every malformed file is refused by name', async () => {
  const names = (await readdir(folder)).filter(name => name.endsWith('.gguf') && name !== 'good.gguf')
  assert.ok(names.length > 12)
  for (const name of names) {
    await assert.rejects(
      async () => openGguf(await openSource(join(folder, name))),
      (error: Error) => {
        assert.ok(error instanceof FileError, `${name}: ${error.stack}`)
        assert.ok(error.message.includes(name) && error.message.length < 400, error.message)
        return true
      },
    )
  }
})

test('a mutated file is refused or read within its bounds', async () => {
  const original = new Uint8Array(await readFile(join(folder, 'good.gguf')))
  const change = fc.tuple(fc.nat(1100), fc.nat(255))
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async changes => {
      const bytes = original.slice()
      for (const [at, value] of changes) bytes[at] = value
      try {
        const file = await openGguf(bytesSource(bytes))
        for (const [name, { shape }] of file.tensors) {
          assert.equal(toFloat32(await file.read(name)).length, elementCount(shape))
        }
      } catch (error) {
        assert.ok(error instanceof FileError, String((error as Error).stack))
      }
    }),
    { numRuns: 1000 },
  )
})

test('a head longer than the first piece that is read, and one that never ends', async () => {
  const head = new Uint8Array(24 + 12 + 1 + 12 + 300_000)
  const view = new DataView(head.buffer)
  view.setUint32(0, 0x47475546)
  view.setUint32(4, 3, true)
  view.setBigUint64(16, 1n, true)
  view.setBigUint64(24, 1n, true)
  head[32] = 107
  view.setUint32(33, 8, true)
  view.setBigUint64(37, 300_000n, true)
  head.fill(120, 45)
  const file = await openGguf(bytesSource(head.subarray(0, 45 + 300_000)))
  assert.equal(file.metadata.get('k')?.length, 300_000)
  await assert.rejects(openGguf(bytesSource(head.subarray(0, 200_000))), FileError)
})
