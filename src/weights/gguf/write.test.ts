import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openSource } from '#platform'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { openGguf } from './gguf.js'
import { quantise, quantisers } from './quantise.js'
import { type GgufTensor, writeGguf } from './write.js'

const folder = await temporaryFolder()

// Numbers of very different sizes, quantised by the Python package gguf 0.19.0.
test('blocks are those of ggml to the bit', async () => {
  const file = new URL('../../../fixtures/weights/quantised.json', import.meta.url)
  const { values, ...types } = JSON.parse(await readFile(file, 'utf8')) as Record<string, string>
  const numbers = new Float32Array(Uint8Array.from(Buffer.from(values!, 'base64')).buffer)
  assert.deepEqual(Object.keys(types).sort(), Object.keys(quantisers).sort())
  for (const [type, blocks] of Object.entries(types))
    assert.equal(Buffer.from(quantise(quantisers[type]!, numbers)).toString('base64'), blocks, type)
  assert.throws(() => quantise(quantisers.Q8_0!, new Float32Array(33)), RangeError)
})

test('a file is read as it was written, piece by piece or at once, the same bytes whatever the order', async () => {
  const values = Float32Array.from({ length: 128 }, (_, i) => i / 2 - 3)
  const bytes = new Uint8Array(values.buffer)
  const tensors: [string, GgufTensor][] = [
    ['b', { type: 'F32', shape: [4, 32], bytes }],
    ['a.weight', { type: 'Q8_0', shape: [2, 64], bytes: () => quantise(quantisers.Q8_0!, values) }],
    ['c', { type: 'I32', shape: [], bytes: Uint8Array.of(1, 2, 0, 0) }],
    [
      'd',
      {
        type: 'F32',
        shape: [128],
        async *bytes() {
          yield bytes.subarray(0, 100)
          yield bytes.subarray(100)
        },
      },
    ],
  ]
  const [path, again] = [join(folder, 'a.gguf'), join(folder, 'b.gguf')]
  await writeGguf(
    path,
    new Map(tensors),
    new Map<string, string | number | boolean>([
      ['general.name', 'ü'],
      ['n', 7],
      ['yes', true],
    ]),
  )
  await writeGguf(
    again,
    new Map(tensors.toReversed()),
    new Map<string, string | number | boolean>([
      ['general.name', 'ü'],
      ['n', 7],
      ['yes', true],
    ]),
  )
  assert.deepEqual(await readFile(path), await readFile(again))
  const file = await openGguf(await openSource(path))
  assert.deepEqual(Object.fromEntries([...file.values].map(([key, { value }]) => [key, value])), {
    'general.name': 'ü',
    n: 7,
    yes: true,
  })
  assert.deepEqual([...file.tensors.keys()], ['a.weight', 'b', 'c', 'd'])
  assert.deepEqual((await file.read('b')).bytes, bytes)
  assert.deepEqual((await file.read('d')).bytes, bytes)
  assert.deepEqual((await file.read('c')).shape, [])
  assert.deepEqual((await file.read('a.weight')).shape, [2, 64])
  await file.close()
})

test('what a file cannot hold is refused before anything is there', async () => {
  const path = join(folder, 'none.gguf')
  const refused = (tensor: GgufTensor, reason: RegExp) =>
    assert.rejects(writeGguf(path, new Map([['t', tensor]])), (error: Error) => {
      assert.ok(error instanceof RangeError)
      return reason.test(error.message)
    })
  await refused({ type: 'F8_E4M3', shape: [1], bytes: new Uint8Array(1) }, /no type F8_E4M3/)
  await refused({ type: 'F32', shape: [1, 1, 1, 1, 1], bytes: new Uint8Array(4) }, /more than 4 dimensions/)
  await refused({ type: 'Q8_0', shape: [32, 2], bytes: new Uint8Array(68) }, /no whole blocks of 32/)
  await refused({ type: 'F32', shape: [2], bytes: new Uint8Array(4) }, /has 8 bytes, found 4/)
  await assert.rejects(readFile(path), /ENOENT/)
})
