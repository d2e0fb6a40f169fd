import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import { promisify } from 'node:util'
import { decodeForeignImage } from './node/image-codec.js'

const root = new URL('../../', import.meta.url)
const photograph = 'fixtures/data/photos/images/86a1ac99-1345-410d-bf73-d7585eccd769.jpg'
const chromium = process.env.CHROMIUM ?? '/usr/bin/chromium'

test('without sharp the error says what to install', async () => {
  const hooks = `export function resolve(name, context, next) {
    if (name === 'sharp') throw new Error('no sharp here')
    return next(name, context)
  }`
  const data = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`
  const script = `import { register } from 'node:module'
    register(${JSON.stringify(data(hooks))})
    const { decodeForeignImage } = await import(${JSON.stringify(new URL('./node/image-codec.js', import.meta.url))})
    await decodeForeignImage(new Uint8Array(4), 'cat.jpg', 9).catch(error => console.log(error.name, error.message))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  assert.match(stdout, /^LatentkitError Cannot decode cat\.jpg: .*"npm install sharp@\d/)
})

test('in a browser photographs are decoded and PNG goes both ways', {
  skip: existsSync(chromium) ? false : 'Chromium is not installed',
}, async t => {
  const { default: sharp } = await import('sharp').catch(() => ({ default: undefined }))
  if (!sharp) return t.skip('the package sharp is not installed')
  const { chromium: launcher } = await import('playwright-core')
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', root).pathname.slice(1)
    const known = /^(dist|fixtures|node_modules)\/[\w./-]+$/.test(path)
    const body = known ? await readFile(new URL(path, root)).catch(() => undefined) : '<!doctype html>'
    const type = path.endsWith('.js') ? 'text/javascript' : known ? 'application/octet-stream' : 'text/html'
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': type }).end(body)
  })
  await new Promise<void>(done => void server.listen(0, '127.0.0.1', done))
  const browser = await launcher.launch({ executablePath: chromium, args: ['--no-sandbox'] })
  try {
    const page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const imports = { '#platform': '/dist/platform/browser/index.js' }
    await page.evaluate(
      map => {
        const script = document.createElement('script')
        script.type = 'importmap'
        script.textContent = JSON.stringify(map)
        document.head.append(script)
      },
      { imports },
    )
    const found = await page.evaluate(async path => {
      // A name that is no constant: the compiler must not follow it.
      const { decodeImage, describePng, encodePng } = await import([location.origin, 'dist/image/index.js'].join('/'))
      const read = async (name: string) => new Uint8Array(await (await fetch(name)).arrayBuffer())
      const image = await decodeImage(await read(`/${path}`))
      const png = await encodePng(image, { text: { parameters: '红心\nSteps: 1, Seed: 2, Size: 3x4' } })
      const again = await decodeImage(png)
      const refuse = async (bytes: Uint8Array) =>
        String(await decodeImage(bytes, { file: 'x' }).catch((e: unknown) => e))
      return {
        data: [...image.data] as number[],
        same: again.data.every((byte: number, i: number) => byte === image.data[i]),
        parameters: (await describePng(png)).parameters,
        refused: [await refuse(png.subarray(0, 999)), await refuse(Uint8Array.of(0xff, 0xd8, 0xff, 1))],
      }
    }, photograph)
    assert.ok(found.same)
    assert.deepEqual(found.parameters, { prompt: '红心', steps: 1, seed: 2, width: 3, height: 4 })
    assert.match(found.refused[0]!, /FileError: x.*cut off/)
    assert.match(found.refused[1]!, /FileError: x: cannot be decoded/)
    const bytes = await readFile(new URL(photograph, root))
    const ours = await decodeForeignImage(bytes, photograph, 1e6)
    const difference = found.data.reduce((sum, byte, i) => sum + Math.abs(byte - ours.data[i]!), 0) / found.data.length
    // Two JPEG decoders differ in how they round and smooth colour.
    assert.ok(difference < 2, `mean difference ${difference}`)
  } finally {
    await browser.close()
    server.close()
  }
})
