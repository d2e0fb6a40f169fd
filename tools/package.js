// The package as users get it: packed, installed in an empty folder, type-checked and judged by others' checkers.
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

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
