import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { readTuning, writeTuning } from './tuning-cache.js'

test('measurements are kept by device, and a damaged file counts as none', async t => {
  const folder = await temporaryFolder(t)
  const { XDG_CACHE_HOME } = process.env
  process.env.XDG_CACHE_HOME = folder
  try {
    assert.equal(await readTuning('cpu'), undefined)
    const path = await writeTuning('cpu', { conv2d: ['winograd', 1.5] })
    assert.ok(path.startsWith(join(folder, 'latentkit', 'tuning', 'cpu-')))
    assert.deepEqual(await readTuning('cpu'), { conv2d: ['winograd', 1.5] })
    assert.equal(await readTuning('wasm'), undefined)
    await writeFile(path, '{"results": ')
    assert.equal(await readTuning('cpu'), undefined)
  } finally {
    if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME
    else process.env.XDG_CACHE_HOME = XDG_CACHE_HOME
  }
})
