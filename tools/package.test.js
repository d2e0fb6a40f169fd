// What a user of the package meets: contents, installation, types, and what publint and attw say of it.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { decodeImage } from '../dist/image/index.js'
import { skipBrowser } from '../dist/testing/browser.js'
import { exampleInChromium, install, pack, readmeExample, run, typeCheck } from './package.js'

const missing = ['src/index.ts', 'README.md'].filter(file => !existsSync(file))
const skip = missing.length > 0 && `there is no ${missing.join(' and no ')} yet`
const OFFLINE = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT|ENOTCACHED/

describe('the package', { skip }, () => {
  let folder
  let packed
  let consumer
  let offline
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'latentkit-package-'))
    packed = await pack(folder)
    consumer = join(folder, 'consumer')
    await install(packed.tarball, consumer).catch(error => {
      if (!OFFLINE.test(error.message)) throw error
      offline = 'needs the npm registry, which is not reached'
    })
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('holds the entry, its declarations and the licences, and no tests', () => {
    for (const file of ['dist/index.js', 'dist/index.d.ts', 'dist/cli/main.js', 'LICENSE', 'README.md'])
      assert.ok(packed.files.includes(file), `${file} is missing`)
    const strays = packed.files.filter(file => /\.test\.|^dist\/testing\/|\.tsbuildinfo$|^src\//.test(file))
    assert.deepEqual(strays, [])
  })

  it('installs in an empty folder, loads, and type-checks for nodenext and bundlers', async t => {
    if (offline) return t.skip(offline)
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

  it('makes the same picture in a page built by Vite as in Node', { skip: skipBrowser }, async t => {
    if (offline) return t.skip(offline)
    const { prompt, seed, png } = await exampleInChromium(consumer)
    const script = `
      import { load } from 'latentkit'
      const [prompt, seed] = process.argv.slice(1)
      const model = await load()
      await (await model.generate(prompt, { seed: Number(seed) }).image()).save('node.png')
      await model.dispose()`
    await run(process.execPath, ['--input-type=module', '-e', script, prompt, seed], { cwd: consumer })
    const inPage = await decodeImage(png)
    const inNode = await decodeImage(await readFile(join(consumer, 'node.png')))
    assert.deepEqual([inPage.width, inPage.height], [inNode.width, inNode.height])
    const difference = Math.max(...inPage.data.map((level, i) => Math.abs(level - inNode.data[i])))
    assert.ok(difference <= 2, `the pictures differ by ${difference} of 255 levels`)
    assert.ok(new Set(inPage.data).size > 16, 'the picture is blank')
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
