// The package as users get it: packed, installed in an empty folder, type-checked and judged by others' checkers.
import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { build, preview } from 'vite'
import { openPage } from '../dist/testing/browser.js'
import viteConfig from '../examples/browser/vite.config.js'

const execute = promisify(execFile)

/** Runs a program; where it fails, the error says all that it printed. */
export async function run(program, args, options = {}) {
  try {
    return (await execute(program, args, { maxBuffer: 2 ** 26, ...options })).stdout
  } catch (error) {
    const printed = [error.stdout, error.stderr].filter(Boolean).join('\n')
    throw new Error(`${program} ${args.join(' ')} failed:\n${printed || error.message}`, { cause: error })
  }
}

/** The tarball of the built package, in `folder`. */
export async function pack(folder) {
  const printed = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder])
  const listed = Object.values(JSON.parse(printed))[0]
  return { tarball: join(folder, listed.filename), files: listed.files.map(({ path }) => path), bytes: listed.size }
}

/** Installs the tarball in an empty folder, from npm's cache where that has everything, else from the registry. */
export async function install(tarball, folder) {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  const quiet = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--omit=optional', '--omit=peer']
  await run('npm', ['install', ...quiet, tarball], { cwd: folder })
}

/** Type-checks `source` against the package installed in `folder`, as strictly as TypeScript can, libraries too. */
export async function typeCheck(folder, source, module) {
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable', 'dom', 'dom.iterable', 'dom.asynciterable'],
    module: module === 'bundler' ? 'esnext' : module,
    moduleResolution: module,
    types: [],
    noEmit: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    verbatimModuleSyntax: true,
    skipLibCheck: false,
  }
  await writeFile(join(folder, 'consumer.ts'), source)
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }))
  await run(process.execPath, [resolve('node_modules/typescript/bin/tsc'), '-p', folder])
}

/** The first TypeScript example of README.md: what every user tries first. */
export async function readmeExample() {
  const example = /```ts\n([\s\S]*?)```/.exec(await readFile('README.md', 'utf8'))
  if (example === null) throw new Error('README.md shows no ```ts example')
  return example[1]
}

/** Builds examples/browser against the package installed in `folder`, presses its button in Chromium and takes the picture. */
export async function exampleInChromium(folder) {
  for (const file of ['index.html', 'main.js']) await cp(join('examples/browser', file), join(folder, file))
  const config = { ...viteConfig, root: folder, configFile: false, logLevel: 'error' }
  await build(config)
  const server = await preview({ ...config, preview: { ...config.preview, port: 0, host: '127.0.0.1' } })
  try {
    const opened = await openPage(server.resolvedUrls.local[0])
    const { page } = opened
    try {
      const prompt = await page.inputValue('[name=prompt]')
      const seed = await page.inputValue('[name=seed]')
      await page.click('button')
      await page.waitForSelector('img:not([hidden]), output:not(:empty)', { timeout: 300_000 })
      const message = await page.textContent('output')
      if (message) throw new Error(`The page says: ${message}`)
      const bytes = await page.evaluate(
        'fetch(document.querySelector("img").src).then(r => r.bytes()).then(b => [...b])',
      )
      return { prompt, seed, png: Uint8Array.from(bytes) }
    } finally {
      await opened[Symbol.asyncDispose]()
    }
  } finally {
    await server.close()
  }
}
