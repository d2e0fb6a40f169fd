import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { lockFile } from './lock.js'

test('a lock keeps others out while its process works, and is taken over from one that has died', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'runs', '.lock')
  const unlock = await lockFile(path, 'The run')
  await assert.rejects(
    lockFile(path, 'The run'),
    new RegExp(`\\.lock: The run is in use by process ${process.pid} on .*since 20`),
  )
  await unlock()
  assert.deepEqual(await readdir(join(folder, 'runs')), [])

  const { pid } = spawnSync(process.execPath, ['-e', ''])
  const left = { pid, host: hostname(), since: Date.now() }
  const held = async (holder: object) => {
    await writeFile(path, JSON.stringify(holder))
    return lockFile(path, 'The run')
  }
  for (const dead of [left, { ...left, pid: process.pid, since: 1000 }, { pid: 'x' }]) {
    const free = await held(dead)
    assert.equal(JSON.parse(await readFile(path, 'utf8')).pid, process.pid)
    await free()
  }
  await assert.rejects(held({ ...left, host: 'elsewhere' }), /on elsewhere.*delete this file/)
})
