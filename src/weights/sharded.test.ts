import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { FileError } from '../platform/errors.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { fromFloat32 } from './dtypes.js'
import { openWeights } from './open-weights.js'
import { encodeSafetensors, readSafetensors } from './safetensors.js'
import { encodeTorchFile } from './torch/write.js'

const good = fileURLToPath(new URL('../../fixtures/conformance/formats/safetensors_good', import.meta.url))
const folder = await temporaryFolder()
const one = fromFloat32(Float32Array.of(1, 2), [2])
const two = fromFloat32(Float32Array.of(3, 4), [2])

/** Opens an index, written beside files that hold `a` and `b`. */
async function indexed(contents: unknown, name = 'pytorch_model.bin.index.json') {
  await writeFile(join(folder, 'first-00001-of-00002.bin'), encodeTorchFile({ a: one }))
  await writeFile(join(folder, 'second.safetensors'), encodeSafetensors(new Map([['b', two]])))
  await writeFile(join(folder, name), typeof contents === 'string' ? contents : JSON.stringify(contents))
  return openWeights(join(folder, name))
}

test('weights in several files are one set of tensors, each read from its own', async () => {
  const model = await openWeights(join(good, 'sharded/model.safetensors.index.json'))
  const expected = readSafetensors(await readFile(join(good, 'sharded.expected.safetensors')))
  assert.deepEqual([...model.tensors.keys()].sort(), [...expected.tensors.keys()].sort())
  for (const [name, tensor] of expected.tensors)
    assert.deepEqual(Buffer.from((await model.read(name)).bytes), Buffer.from(tensor.bytes))
  await model.close()
})

test('files of torch are shards as well', async () => {
  const file = await indexed({ weight_map: { a: 'first-00001-of-00002.bin', b: 'second.safetensors' } })
  assert.match(file.format, /in 2 files/)
  assert.deepEqual(Buffer.from((await file.read('a')).bytes), Buffer.from(one.bytes))
  assert.deepEqual(Buffer.from((await file.read('b')).bytes), Buffer.from(two.bytes))
  await assert.rejects(file.read('c'), /has no tensor "c"/)
  await file.close()
})

test('an index that leaves its folder, leads back to itself, lies or is none is refused', async () => {
  const refused = (contents: unknown, reason: RegExp) =>
    assert.rejects(indexed(contents), (error: Error) => error instanceof FileError && reason.test(error.message))
  for (const place of ['../a.bin', '/etc/a.bin', 'b/c.safetensors', 'C:a.bin', '..\\a.bin', 7, null])
    await refused({ weight_map: { a: place } }, /index\.json: places "a" in .*wanted is the name of a/)
  await refused(
    { weight_map: { a: 'pytorch_model.bin.index.json' } },
    /places "a" in "pytorch_model\.bin\.index\.json"/,
  )
  await refused({ weight_map: { a: 'missing.safetensors' } }, /missing\.safetensors/)
  await refused(
    { weight_map: { c: 'second.safetensors' } },
    /says that second\.safetensors holds "c", which it does not/,
  )
  for (const none of [{ tensors: {} }, { weight_map: [] }, { weight_map: null }, [], 'null', '7'])
    await refused(none, /has no weight_map; wanted is/)
  await refused('{', /is no JSON index/)
  await refused(' '.repeat((16 << 20) + 1), /too many for an index/)
})
