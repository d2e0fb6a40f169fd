import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'

const root = new URL('../../', import.meta.url)
const chromium = process.env.CHROMIUM ?? '/usr/bin/chromium'

/** Why tests in a browser are skipped; false where they are not. */
export const skipBrowser: string | false = existsSync(chromium) ? false : 'Chromium is not installed'

/** What a bundler would make of the names; import maps would do for the page but not for its workers. */
const packages: Readonly<Record<string, string>> = {
  '#platform': '/dist/platform/browser/index.js',
  'onnxruntime-web/wasm': '/node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs',
  'onnxruntime-web/webgpu': '/node_modules/onnxruntime-web/dist/ort.webgpu.bundle.min.mjs',
  entities: '/node_modules/entities/dist/esm/index.js',
  zod: '/node_modules/zod/index.js',
  yaml: '/node_modules/yaml/browser/index.js',
}
const types: Readonly<Record<string, string>> = {
  js: 'text/javascript',
  mjs: 'text/javascript',
  wasm: 'application/wasm',
}

const flags = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // WebGPU in software, where there is no graphics card.
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
]

type Functions = Readonly<Record<string, (...args: never[]) => unknown>>

export interface OpenedPage extends AsyncDisposable {
  readonly page: Page
}

/** Opens an address in a Chromium of its own; what goes wrong in the page is printed. */
export async function openPage(url: string): Promise<OpenedPage> {
  const { chromium: launcher } = await import('playwright-core')
  const browser = await launcher.launch({ executablePath: chromium, args: flags })
  const page = await browser.newPage()
  page.on('pageerror', error => console.error(error))
  await page.goto(url)
  return { page, [Symbol.asyncDispose]: () => browser.close() }
}

/** A page that has loaded a module of this repository. */
export interface ModulePage<Module> extends OpenedPage {
  /** Calls a function that the module exports; arguments and result are plain data. */
  call<Name extends keyof Module>(
    name: Name,
    ...args: Module[Name] extends (...args: infer Args) => unknown ? Args : never
  ): Promise<Module[Name] extends (...args: never[]) => infer Result ? Awaited<Result> : never>
}

/**
 * Opens a module of `dist/` in Chromium, with WebGPU by its software adapter and threads for WebAssembly, on a server of
 * this repository's `dist/`, `fixtures/` and `node_modules/`.
 *
 * @example
 * await using page = await openModule<typeof import('./sums.js')>(new URL('./sums.js', import.meta.url))
 * assert.equal(await page.call('sum', 1, 2), 3)
 */
export async function openModule<Module extends object>(module: URL): Promise<ModulePage<Module>> {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', root).pathname.slice(1)
    const known = /^(dist|fixtures|node_modules)\/[\w./@-]+$/.test(path)
    const body = known ? await readFile(new URL(path, root)).catch(() => undefined) : '<!doctype html>'
    response.writeHead(body === undefined ? 404 : 200, {
      'content-type': known ? (types[path.split('.').at(-1)!] ?? 'application/octet-stream') : 'text/html',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
    })
    response.end(path.startsWith('dist/') && path.endsWith('.js') ? withPaths(String(body)) : body)
  })
  await new Promise<void>(done => void server.listen(0, '127.0.0.1', done))
  const { page, [Symbol.asyncDispose]: close } = await openPage(
    `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
  )
  const path = module.href.slice(root.href.length - 1)
  return {
    page,
    call: (name, ...args) =>
      page.evaluate(async ([path, name, args]) => ((await import(path)) as Functions)[name]!(...(args as never[])), [
        path,
        String(name),
        args,
      ] as const) as never,
    async [Symbol.asyncDispose]() {
      await close()
      server.close()
    },
  }
}

const withPaths = (source: string): string =>
  source.replace(/(\bfrom |\bimport\(|\bimport )'([^'.][^']*)'/g, (whole, before, name) =>
    Object.hasOwn(packages, name) ? `${before}'${packages[name]}'` : whole,
  )
