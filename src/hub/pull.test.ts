import assert from 'node:assert/strict'
import { lstat, mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, beforeEach, test } from 'node:test'
import { FileError, isDiskFull, LatentkitError } from '../platform/errors.js'
import { gitHash, type HubServer, openHubServer, sha256 } from '../testing/hub-server.js'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { locate } from './locate.js'
import { type PullEvent, type PullOptions, pull } from './pull.js'

const bytes = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) % 251)
const weights = bytes(200_000, 1)
const config = new TextEncoder().encode('{"a": 1}\n')
const files = { 'model.safetensors': weights, 'config.json': config, 'unet/model.safetensors': bytes(5, 2) }
const patience = { attempts: 3, delay: 1, silence: 2000 }

const home = await temporaryFolder()
let cache: string
before(async () => {
  for (const name of ['HF_HUB_CACHE', 'HUGGINGFACE_HUB_CACHE', 'HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN', 'HF_HUB_OFFLINE'])
    delete process.env[name]
  process.env.HF_HOME = home
  cache = join(home, 'hub')
})
beforeEach(() => rm(cache, { recursive: true, force: true }))

async function pulled(server: HubServer, name = 'org/name', options: PullOptions = {}): Promise<PullEvent[]> {
  process.env.HF_ENDPOINT = server.endpoint
  const events: PullEvent[] = []
  for await (const event of pull(name, { patience, ...options })) events.push(event)
  return events
}

const at = (...path: string[]) => join(cache, 'models--org--name', ...path)
const last = (events: PullEvent[]) => events.at(-1) as Extract<PullEvent, { type: 'done' }>

test('a model fills the cache as huggingface_hub lays it out, and is not fetched again', async () => {
  await using server = await openHubServer(files)
  const events = await pulled(server)
  const { commit } = server
  assert.deepEqual(events[0], { type: 'start', commit, files: 3, bytes: weights.length + config.length + 5 })
  assert.deepEqual(last(events), { type: 'done', path: at('snapshots', commit), commit })
  assert.equal(await readFile(at('refs', 'main'), 'utf8'), commit)
  for (const [name, content] of Object.entries(files)) {
    const path = at('snapshots', commit, name)
    assert.deepEqual(new Uint8Array(await readFile(path)), content)
    const hash = name.endsWith('json') ? gitHash(content) : sha256(content)
    assert.equal(await readlink(path), `${'../'.repeat(name.split('/').length + 1)}blobs/${hash}`)
  }
  assert.equal((await readdir(at('blobs'))).length, 3)
  assert.deepEqual(await readdir(join(cache, '.locks', 'models--org--name')), [])
  assert.equal(await locate('org/name'), at('snapshots', commit, 'model.safetensors'))
  assert.equal(await locate('org/name:model.safetensors'), at('snapshots', commit, 'model.safetensors'))

  server.asked.length = 0
  const again = await pulled(server)
  assert.ok(again.every(event => event.type !== 'progress' && (event.type !== 'file' || event.cached)))
  assert.deepEqual(
    server.asked.map(({ path }) => path),
    ['/api/models/org/name/revision/main?blobs=true'],
  )
})

test('the token goes to the hub and not where it leads, and shows in no message', async t => {
  process.env.HF_TOKEN = 'hf_secret'
  t.after(() => delete process.env.HF_TOKEN)
  await using server = await openHubServer(files, { token: 'hf_secret' })
  await pulled(server)
  const { asked } = server
  assert.ok(asked.some(({ host }) => host === 'cdn'))
  for (const { host, authorization } of asked)
    assert.equal(authorization, host === 'hub' ? 'Bearer hf_secret' : undefined)
  process.env.HF_TOKEN = 'hf_wrong'
  await assert.rejects(pulled(server, 'org/name@v1'), error => {
    assert.ok(error instanceof LatentkitError)
    assert.match(error.message, /accepted its terms/)
    return !/hf_/.test(error.message)
  })
})

test('a connection that is cut or falls silent, or a busy server, is tried again from where it broke', async () => {
  await using server = await openHubServer(files)
  server.faults['model.safetensors'] = [{ cut: 70_000 }, { status: 503 }, { stall: 50_000 }, { cut: 1000 }]
  server.faults['config.json'] = [{ cut: 3 }]
  server.faults.listing = [{ status: 429 }]
  const events = await pulled(server)
  assert.equal(events.filter(event => event.type === 'retry').length, 5)
  assert.deepEqual(new Uint8Array(await readFile(at('blobs', sha256(weights)))), weights)
  const ranges = server.asked.flatMap(({ host, range, path }) =>
    host === 'cdn' && /^\/model/.test(path) ? [range] : [],
  )
  assert.equal(ranges.length, 5)
  assert.equal(ranges[0], undefined)
  const begins = ranges.slice(1).map(range => Number(/^bytes=(\d+)-$/.exec(range!)![1]))
  assert.equal(begins[0], begins[1])
  assert.ok(begins[0]! > 0 && begins[2]! > begins[1]! && begins[3]! > begins[2]!, String(begins))
})

test('after too many breaks without a byte the pull fails, and a later one goes on with what came', async () => {
  await using server = await openHubServer({ 'model.safetensors': weights })
  const busy = { status: 500 } as const
  server.faults['model.safetensors'] = [{ cut: 90_000 }, busy, busy, busy]
  await assert.rejects(pulled(server), /cdn|127\.0\.0\.1/)
  const part = at('blobs', `${sha256(weights)}.incomplete`)
  const { size } = await lstat(part)
  assert.ok(size > 0 && size < weights.length)
  await assert.rejects(lstat(at('refs', 'main')), /ENOENT/)
  await pulled(server)
  assert.equal(server.asked.at(-1)!.range, `bytes=${size}-`)
  assert.deepEqual(new Uint8Array(await readFile(at('blobs', sha256(weights)))), weights)
  await assert.rejects(lstat(part), /ENOENT/)
})

test('what does not fit its hash is removed and refused, large file or small', async () => {
  await using server = await openHubServer(files)
  for (const [name, hash] of [
    ['model.safetensors', sha256(weights)],
    ['config.json', gitHash(config)],
  ] as const) {
    server.faults[name] = [{ damage: 5 }]
    await assert.rejects(pulled(server, `org/name:${name}`), error => {
      assert.ok(error instanceof FileError)
      return error.message.includes(name) && error.message.includes(hash)
    })
    assert.deepEqual(
      (await readdir(at('blobs'))).filter(entry => entry.startsWith(hash)),
      [],
    )
  }
})

test('what an earlier attempt left damaged is fetched again from the beginning', async () => {
  await using server = await openHubServer({ 'model.safetensors': weights })
  const part = at('blobs', `${sha256(weights)}.incomplete`)
  await mkdir(at('blobs'), { recursive: true })
  for (const left of [bytes(1000, 7), bytes(weights.length, 7), bytes(weights.length + 1, 1)]) {
    await rm(at('snapshots'), { recursive: true, force: true })
    await rm(at('blobs', sha256(weights)), { force: true })
    await writeFile(part, left)
    await pulled(server)
    assert.deepEqual(new Uint8Array(await readFile(at('blobs', sha256(weights)))), weights)
  }
})

test('a server that knows no ranges sends all again; one that sends too much is refused', async () => {
  await using server = await openHubServer({ 'model.safetensors': weights })
  server.faults['model.safetensors'] = [{ cut: 80_000 }, 'whole']
  await pulled(server)
  assert.deepEqual(new Uint8Array(await readFile(at('blobs', sha256(weights)))), weights)
  await rm(cache, { recursive: true })
  server.faults['model.safetensors'] = ['longer']
  await assert.rejects(pulled(server), /is longer than the 200000 bytes/)
})

test('two pulls at once fetch each content once', async () => {
  await using server = await openHubServer(files)
  const both = await Promise.all([pulled(server), pulled(server)])
  assert.equal(last(both[0]).path, last(both[1]).path)
  assert.equal(server.asked.filter(({ host, method }) => host === 'cdn' && method === 'GET').length, 2)
  assert.ok(both.flat().some(event => event.type === 'waiting'))
})

test('a full disk is told, and what came stays', { skip: process.platform !== 'linux' }, async () => {
  await using server = await openHubServer({ 'model.safetensors': weights })
  await mkdir(at('blobs'), { recursive: true })
  await symlink('/dev/full', at('blobs', `${sha256(weights)}.incomplete`))
  await assert.rejects(pulled(server), error => isDiskFull(error) && /free some space/.test(error.message))
  await rm(cache, { recursive: true })
  const huge = { sha: server.commit, siblings: [{ rfilename: 'model.safetensors', size: 2 ** 52 }] }
  await using large = await openHubServer({ 'model.safetensors': weights }, { listing: huge })
  await assert.rejects(pulled(large), /needs 4503599\.6 GB, and .* has room for/)
})

test('names, revisions and files that do not exist are told apart', async () => {
  await using server = await openHubServer(files)
  await assert.rejects(pulled(server, 'org/name@v9'), /has no revision "v9"/)
  await assert.rejects(pulled(server, 'org/other'), /no model org\/other/)
  await assert.rejects(
    pulled(server, 'org/name:vae.safetensors'),
    /has no file vae\.safetensors; it has model\.safetensors/,
  )
  await assert.rejects(pulled(server, 'name'), /wanted is organisation\/name/)
  await pulled(server, 'old/name@refs/pr/1')
  assert.equal(await readFile(join(cache, 'models--old--name', 'refs', 'refs', 'pr', '1'), 'utf8'), server.commit)
  process.env.HF_HUB_OFFLINE = '1'
  try {
    await assert.rejects(pulled(server), /HF_HUB_OFFLINE/)
  } finally {
    delete process.env.HF_HUB_OFFLINE
  }
})

test('what a server says is not believed: paths that lead out, hashes that are none, a commit that is none', async () => {
  const sibling = (rfilename: string) => ({ sha: '0'.repeat(40), siblings: [{ rfilename }] })
  for (const listing of [
    ...['../x', 'a/../../x', '/etc/x', 'a\\..\\x', 'C:x', 'a//b', '', '.', 'x\0'].map(sibling),
    { sha: '../../x', siblings: [] },
    { sha: '0'.repeat(40) },
    [],
    { sha: '0'.repeat(40), siblings: [{ rfilename: 'a', size: -1 }] },
  ]) {
    await using server = await openHubServer(files, { listing })
    await assert.rejects(pulled(server), LatentkitError, JSON.stringify(listing))
  }
  await using server = await openHubServer(files)
  for (const headers of [{ 'x-linked-etag': '"../../x"' }, { 'x-linked-size': 'many' }, { 'x-linked-size': '-1' }]) {
    server.headers['model.safetensors'] = headers as Record<string, string>
    await assert.rejects(pulled(server), /comes without its hash or size/)
  }
  server.headers['model.safetensors'] = { location: 'ftp://127.0.0.1/x' }
  await assert.rejects(pulled(server), /less safe than the hub/)
})

test('an abort ends a pull, and what came is there for the next', async () => {
  await using server = await openHubServer({ 'model.safetensors': weights })
  server.faults['model.safetensors'] = [{ stall: 60_000 }]
  const abort = new AbortController()
  process.env.HF_ENDPOINT = server.endpoint
  await assert.rejects(async () => {
    for await (const event of pull('org/name', { signal: abort.signal }))
      if (event.type === 'progress' && event.loaded >= 60_000) abort.abort(new Error('enough'))
  }, /enough/)
  await pulled(server)
  assert.match(server.asked.at(-1)!.range!, /^bytes=[1-9]\d*-$/)
})

test('a pipeline is found as its folder', async () => {
  await using server = await openHubServer({ 'model_index.json': config, 'unet/model.safetensors': weights })
  const { path } = last(await pulled(server))
  assert.equal(await locate('org/name'), path)
  await assert.rejects(locate('org/name@v9') as Promise<unknown>, /latentkit pull org\/name@v9/)
})

test('a name on the hub that was not pulled says how to, and paths stay paths', async () => {
  await using server = await openHubServer({ 'a.safetensors': weights, 'a.ckpt': config, 'b.safetensors': config })
  await assert.rejects(locate('org/name') as Promise<unknown>, /latentkit pull org\/name/)
  await pulled(server)
  await assert.rejects(locate('org/name') as Promise<unknown>, /several models \(a\.safetensors, b\.safetensors\)/)
  for (const path of ['models/emoji.safetensors', 'emoji', './org/name', home, 'https://example.com/x/y'])
    assert.equal(await locate(path), path)
})
