import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { temporaryFolder } from '../testing/temporary-folder.js'
import * as browser from './browser/index.js'
import { FileError, LatentkitError } from './errors.js'
import * as node from './node/index.js'
import type { Platform } from './types.js'

const folder = await temporaryFolder()

test('Node and browsers export the same names', () => {
  const faces: Platform[] = [node, browser]
  assert.deepEqual(Object.keys(faces[0]!).sort(), Object.keys(faces[1]!).sort())
})

test('a source reads exactly the bytes asked for, from a path, a Blob and memory', async () => {
  const path = join(folder, 'source.bin')
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i % 251)
  await node.writeFileAtomic(path, bytes)
  for (const from of [path, new Blob([bytes]), bytes]) {
    const source = await node.openSource(from)
    assert.equal(source.size, 1000)
    assert.deepEqual([...(await source.read(990, 10))], [...bytes.subarray(990)])
    assert.equal((await source.read(1000, 0)).length, 0)
    await assert.rejects(source.read(991, 10), RangeError)
    await assert.rejects(source.read(-1, 1), RangeError)
    await assert.rejects(source.read(0, 0.5), RangeError)
    await source.close()
  }
  assert.equal(await node.sha256(bytes), await browser.sha256(bytes))
  assert.equal(await node.sha256('abc'), await browser.sha256(new TextEncoder().encode('abc')))
})

test('a URL is read by ranges, or whole where the server knows none, and a changed file is refused', async t => {
  const bytes = Uint8Array.from({ length: 300 }, (_, i) => i % 256)
  let tag = '"a"'
  const server = createServer((request, response) => {
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    if (request.url === '/missing') return response.writeHead(404).end()
    if (request.url === '/whole' || !range) return response.end(bytes)
    const [begin, end] = [Number(range[1]), Number(range[2]) + 1]
    response.writeHead(206, { 'content-range': `bytes ${begin}-${end - 1}/${bytes.length}`, etag: tag })
    response.end(bytes.subarray(begin, end))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  for (const open of [node.openSource, browser.openSource]) {
    for (const path of ['/ranges', '/whole']) {
      const source = await open(base + path)
      assert.equal(source.size, 300)
      assert.deepEqual([...(await source.read(250, 50))], [...bytes.subarray(250)])
    }
    await assert.rejects(open(`${base}/missing`), /missing: cannot be fetched: the server answered 404/)
  }
  const source = await node.openSource(`${base}/ranges`)
  tag = '"b"'
  await assert.rejects(source.read(0, 10), /changed or broke off/)
})

test('an atomic write makes folders, follows a link and leaves no temporary file', async () => {
  const path = join(folder, 'deep', 'er', 'file.txt')
  await node.writeFileAtomic(path, 'one')
  await symlink(path, join(folder, 'deep', 'link.txt'))
  await node.writeFileAtomic(join(folder, 'deep', 'link.txt'), [new Uint8Array([116]), new Uint8Array([119, 111])])
  assert.equal(await node.readText(path), 'two')
  assert.deepEqual(await readdir(join(folder, 'deep', 'er')), ['file.txt'])
})

test('a write that fails halfway leaves the old file and nothing else', async () => {
  const path = join(folder, 'half', 'file.bin')
  await node.writeFileAtomic(path, 'old')
  async function* broken() {
    yield new Uint8Array(10)
    throw new LatentkitError('the sun went out')
  }
  await assert.rejects(node.writeFileAtomic(path, broken()), /the sun went out/)
  assert.equal(await node.readText(path), 'old')
  assert.deepEqual(await readdir(join(folder, 'half')), ['file.bin'])
})

test('a full disk is named, with the path and what to do', { skip: process.platform === 'win32' }, async () => {
  const path = join(folder, 'full', 'file.bin')
  await node.writeFileAtomic(path, 'old')
  const module = new URL('./node/index.js', import.meta.url).href
  const script = `import { writeFileAtomic } from ${JSON.stringify(module)}
    await writeFileAtomic(${JSON.stringify(path)}, new Uint8Array(1 << 20)).catch(error => console.log(error.message))`
  // The limit on the size of a file stands for the full disk: writing stops halfway in the same way.
  const run = spawnSync('sh', [
    '-c',
    'ulimit -f 8; trap "" XFSZ; exec "$0" --input-type=module -e "$1"',
    process.execPath,
    script,
  ])
  const said = run.stdout.toString()
  assert.ok(said.includes(path) && said.includes('choose another place'), said + run.stderr)
  assert.equal(await node.readText(path), 'old')
  assert.deepEqual(await readdir(join(folder, 'full')), ['file.bin'])
})

test('temporary files of a killed process are removed when they are old', async () => {
  const [old, fresh] = ['.model.bin.1-0.tmp', '.model.bin.2-0.tmp'].map(name => join(folder, 'killed', name))
  await node.writeFileAtomic(join(folder, 'killed', 'model.bin'), 'x')
  for (const path of [old!, fresh!]) await writeFile(path, 'x')
  await utimes(old!, 0, 0)
  await node.writeFileAtomic(join(folder, 'killed', 'model.bin'), 'y')
  assert.deepEqual((await readdir(join(folder, 'killed'))).sort(), ['.model.bin.2-0.tmp', 'model.bin'])
})

test('walking is sorted, follows links once and leaves out broken ones', async () => {
  const root = join(folder, 'walk')
  for (const name of ['b/2.png', 'a.png', 'b/10.png', 'B.png']) await node.writeFileAtomic(join(root, name), name)
  await mkdir(join(root, 'c'))
  await symlink(root, join(root, 'c', 'up'))
  await symlink(join(root, 'nowhere'), join(root, 'broken.png'))
  await symlink(join(root, 'circle.png'), join(root, 'circle.png'))
  const found: string[] = []
  for await (const file of node.walkFiles(root)) found.push(file.relativePath)
  assert.deepEqual(found, ['B.png', 'a.png', 'b/10.png', 'b/2.png'])
})

test('errors name the file and say what to do', async () => {
  const missing = join(folder, 'missing')
  await assert.rejects(
    node.readBytes(missing),
    (error: Error) => error instanceof FileError && /check the path/.test(error.message),
  )
  await assert.rejects(node.readBytes(folder), /is a folder; a file is wanted/)
  const pipe = join(folder, 'pipe')
  if (spawnSync('mkfifo', [pipe]).status === 0) await assert.rejects(node.readBytes(pipe), /is a device or pipe/)
  await assert.rejects(node.listFolder(missing), /check the path/)
  await assert.rejects(node.writeFileAtomic(folder, 'x'), /is a folder/)
  assert.equal(await node.fileInfo(missing), undefined)
  await node.appendFile(join(folder, 'log', 'x.jsonl'), 'a\n')
  await node.appendFile(join(folder, 'log', 'x.jsonl'), 'b\n')
  assert.equal(await readFile(join(folder, 'log', 'x.jsonl'), 'utf8'), 'a\nb\n')
  await assert.rejects(node.readText(new TextEncoder().encode('ü').subarray(0, 1)), /not UTF-8/)
  await assert.rejects(node.readText(new Uint8Array([0xc3, 0xbc, 0x41, 0xff, 0x41])), /byte 3.*not UTF-8/)
})

test('a damaged gzip stream is an error behind what was readable, in one piece or several', async () => {
  const packed = gzipSync(Uint8Array.from({ length: 100_000 }, (_, i) => (i * i) % 253))
  const damaged = Uint8Array.from(packed)
  damaged[damaged.length - 6]! ^= 1
  for (const length of [damaged.length, 1000]) {
    async function* pieces() {
      for (let at = 0; at < damaged.length; at += length) yield damaged.subarray(at, at + length)
    }
    let unpacked = 0
    await assert.rejects(async () => {
      for await (const piece of node.gunzip(pieces())) unpacked += piece.length
    }, /incorrect data check/)
    assert.ok(unpacked > 0)
  }
})

test('a browser page refuses what needs a disk', async () => {
  await assert.rejects(browser.writeFileAtomic('x', 'y'), /no file system/)
  await assert.rejects(browser.listFolder('x'), /no file system/)
  assert.throws(() => browser.cacheFolder(), LatentkitError)
  assert.equal(browser.joinPath('a', 'b/', 'c.PNG'), 'a/b/c.PNG')
  assert.equal(browser.parentFolder('a/b/c.png'), 'a/b')
  assert.equal(browser.extensionName('a.b/c.PNG'), '.png')
  assert.equal(browser.extensionName('.hidden'), '')
})

test('the cache folder follows the environment; the processor is known', () => {
  const before = process.env.XDG_CACHE_HOME
  process.env.XDG_CACHE_HOME = join(folder, 'cache')
  assert.equal(node.cacheFolder(), join(folder, 'cache', 'latentkit'))
  if (before === undefined) delete process.env.XDG_CACHE_HOME
  else process.env.XDG_CACHE_HOME = before
  const { name, threads, memory } = node.processor()
  assert.ok(name.length > 0 && threads >= 1 && memory > 1e6)
})
