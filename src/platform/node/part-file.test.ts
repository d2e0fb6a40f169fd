import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import fs, { lstat, readFile, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { freeSpace, linkFile, openPart } from './part-file.js'

const folder = await temporaryFolder()

test('a part is hashed over all that was ever appended to it', async () => {
  const path = join(folder, 'below', 'part')
  const hash = { algorithm: 'sha1', prefix: 'blob 6\0' } as const
  for (const text of ['abc', 'def']) {
    const part = await openPart(path, hash)
    await part.append(new TextEncoder().encode(text))
    await part.close()
  }
  const part = await openPart(path, hash)
  assert.equal(part.size, 6)
  assert.equal(part.digest(), createHash('sha1').update('blob 6\0abcdef').digest('hex'))
  await part.clear()
  await part.append(new TextEncoder().encode('x'))
  assert.equal(part.digest(), createHash('sha1').update('blob 6\0x').digest('hex'))
  await part.close()
  assert.equal(await readFile(path, 'utf8'), 'x')
})

test('where links cannot be made a copy stands for one', async t => {
  const [target, path] = [join(folder, 'target'), join(folder, 'links', 'path')]
  await writeFile(target, 'content')
  await linkFile(target, path)
  assert.ok((await lstat(path)).isSymbolicLink())
  const refused = t.mock.method(fs, 'symlink', async () => {
    throw Object.assign(new Error('not permitted'), { code: 'EPERM' })
  })
  syncBuiltinESMExports()
  await linkFile(target, path)
  refused.mock.restore()
  syncBuiltinESMExports()
  assert.ok((await lstat(path)).isFile())
  assert.equal(await readFile(path, 'utf8'), 'content')
})

test('the room below a folder is told before the folder is there', async () => {
  assert.ok((await freeSpace(join(folder, 'not', 'yet'))) > 0)
})
