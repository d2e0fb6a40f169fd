import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { openSource } from '#platform'
import { FileError } from '../../platform/errors.js'
import { bytesSource } from '../../platform/sources.js'
import { underPrefix } from '../rename.js'
import { readSafetensors } from '../safetensors.js'
import { openTorchFile } from './file.js'

const fixtures = fileURLToPath(new URL('../../../fixtures/conformance/formats', import.meta.url))
const good = join(fixtures, 'torch_good')
type Cases = { files: Record<string, { role: string; expected?: string; path?: string[] }> }
const cases: Cases = JSON.parse(await readFile(join(good, 'case.json'), 'utf8'))

for (const [name, { role, expected, path = [] }] of Object.entries(cases.files)) {
  if (role !== 'input') continue
  test(`${name}: every tensor has its type, shape and bytes`, async () => {
    const whole = await openTorchFile(await openSource(join(good, name)))
    const file = path.length === 0 ? whole : underPrefix(whole, `${path.join('.')}.`)
    const { tensors } = readSafetensors(await readFile(join(good, expected!)))
    assert.deepEqual([...file.tensors.keys()].sort(), [...tensors.keys()].sort())
    for (const [tensor, { dtype, shape, bytes }] of tensors) {
      const found = await file.read(tensor)
      assert.deepEqual([found.dtype, found.shape], [dtype, shape], tensor)
      assert.deepEqual(Buffer.from(found.bytes), Buffer.from(bytes), tensor)
      const info = file.tensors.get(tensor)!
      if (!('source' in info)) continue
      assert.deepEqual(
        Buffer.from(await info.source.read(info.begin, info.end - info.begin)),
        Buffer.from(bytes),
        tensor,
      )
    }
    await file.close()
  })
}

test('every hostile or damaged file is refused by name, in bounded time, and nothing of it is run', async () => {
  const refuse = join(fixtures, 'torch_refuse')
  const names = (await readdir(refuse)).filter(name => name !== 'case.json')
  assert.ok(names.length > 60)
  for (const name of names) {
    const started = performance.now()
    const read = async () => {
      const file = await openTorchFile(await openSource(join(refuse, name)))
      // One changed byte in a storage shows only when that is read.
      try {
        for (const tensor of file.tensors.keys()) await file.read(tensor)
      } finally {
        await file.close()
      }
    }
    await assert.rejects(read, (error: Error) => {
      assert.ok(error instanceof FileError, `${name}: ${error.stack}`)
      assert.ok(error.message.includes(name) && error.message.length < 600, error.message)
      return true
    })
    assert.ok(performance.now() - started < 2000, name)
  }
})

test('what was found in place of a checkpoint is said', async () => {
  const refused = async (name: string, reason: RegExp) =>
    assert.rejects(openTorchFile(await openSource(join(fixtures, 'torch_refuse', name))), reason)
  await refused('html_error_page.ckpt', /web page/)
  await refused('git_lfs_pointer.ckpt', /git lfs pull/)
  await refused('empty_file.pt', /it is empty/)
  await refused('os_system.pt', /wants to call "(os|posix)\.system".*it was not called/)
  await refused('zip_truncated.pt', /load it again/)
})

test('a mutated file is refused or read within its bounds', async () => {
  for (const name of ['zip_shared_views.pt', 'legacy_shared_views.pt', 'lightning_legacy.ckpt', 'zip_protocol4.pt']) {
    const original = new Uint8Array(await readFile(join(good, name)))
    const change = fc.tuple(fc.nat(original.length - 1), fc.nat(255))
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async changes => {
        const bytes = original.slice()
        for (const [at, value] of changes) bytes[at] = value
        try {
          const file = await openTorchFile(bytesSource(bytes, name))
          for (const [tensor, { shape }] of file.tensors) {
            const found = await file.read(tensor)
            assert.deepEqual(found.shape, shape)
          }
        } catch (error) {
          assert.ok(error instanceof FileError, String((error as Error).stack))
        }
      }),
      { numRuns: 400 },
    )
  }
})
