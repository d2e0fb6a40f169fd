import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readBytes } from '#platform'
import { FileError } from '../platform/errors.js'
import { openWeights } from './open-weights.js'

const formats = fileURLToPath(new URL('../../fixtures/conformance/formats', import.meta.url))

test('every format is told by its content, from a path and from bytes without a name', async () => {
  for (const [name, tensor] of [
    ['safetensors_good/float8.safetensors', 'e4m3'],
    ['torch_good/zip_plain.pt', 'a.weight'],
    ['torch_good/legacy_plain.pt', 'a.weight'],
    ['gguf/good.gguf', 'q8_0.weight'],
  ] as const) {
    for (const from of [join(formats, name), await readBytes(join(formats, name))]) {
      const file = await openWeights(from)
      assert.ok(file.tensors.has(tensor))
      await file.close()
    }
  }
})

test('an index opens the files beside it', async () => {
  const file = await openWeights(join(formats, 'safetensors_good/sharded/model.safetensors.index.json'))
  assert.deepEqual([...file.tensors.keys()], ['a', 'b', 'c'])
  assert.ok((await file.read('c')).bytes.length > 0)
  await file.close()
})

test('what is no file of weights is refused in the words of the format that its name says', async () => {
  await assert.rejects(openWeights(join(formats, 'torch_refuse/git_lfs_pointer.ckpt')), /git lfs pull/)
  await assert.rejects(openWeights(join(formats, 'gguf/bad_magic.gguf')), /does not begin with GGUF/)
  await assert.rejects(openWeights(new Uint8Array(3)), FileError)
  await assert.rejects(openWeights(join(formats, 'missing.safetensors')), /check the path/)
})
