import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { readTuning, writeTuning } from './tuning-cache.js'

test('measurements are kept by device, and a damaged file counts as none', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'latentkit-tuning-'))
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
    await rm(folder, { recursive: true })
  }
})
