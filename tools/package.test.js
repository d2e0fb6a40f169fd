// What a user of the package meets: contents, installation, types, and what publint and attw say of it.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { install, pack, readmeExample, run, typeCheck } from './package.js'

const missing = ['src/index.ts', 'README.md'].filter(file => !existsSync(file))
const skip = missing.length > 0 && `there is no ${missing.join(' and no ')} yet`
const OFFLINE = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT|ENOTCACHED/

describe('the package', { skip }, () => {
  let folder
  let packed
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'latentkit-package-'))
    packed = await pack(folder)
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('holds the entry, its declarations and the licences, and no tests', () => {
    for (const file of ['dist/index.js', 'dist/index.d.ts', 'dist/cli/main.js', 'LICENSE', 'README.md'])
      assert.ok(packed.files.includes(file), `${file} is missing`)
    const strays = packed.files.filter(file => /\.test\.|^dist\/testing\/|\.tsbuildinfo$|^src\//.test(file))
    assert.deepEqual(strays, [])
  })

  it('installs in an empty folder, loads, and type-checks for nodenext and bundlers', async t => {
    const consumer = join(folder, 'consumer')
    try {
      await install(packed.tarball, consumer)
    } catch (error) {
      if (OFFLINE.test(error.message)) return t.skip('needs the npm registry, which is not reached')
      throw error
    }
    const names = await run(
      process.execPath,
      ['-e', 'import("latentkit").then(k => console.log(Object.keys(k).length))'],
      {
        cwd: consumer,
      },
    )
    assert.ok(Number(names) > 0)
    const example = await readmeExample()
    for (const module of ['nodenext', 'bundler']) await typeCheck(consumer, example, module)
  })

  it('is found faultless by publint', async () => {
    const { messages, pkg } = await publint({ pkgDir: resolve('.'), strict: true })
    assert.deepEqual(
      messages.map(message => formatMessage(message, pkg, { color: false })),
      [],
    )
  })

  it('resolves its types everywhere that ESM is read, says attw', async () => {
    const attw = resolve('node_modules/@arethetypeswrong/cli/dist/index.js')
    await run(process.execPath, [attw, packed.tarball, '--profile', 'esm-only', '--no-color', '--no-emoji'])
  })
})
