// Holds the floors of ARCHITECTURE.md: node tools/floors.js
// A folder of src/ imports only from floors below it, or from folders to its left in its own row.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { filesUnder } from './files.js'

/** From the roof to the ground; within a row from left to right. `index.ts` is the package's one entry. */
const FLOORS = [
  ['cli', 'server'],
  ['index.ts'],
  ['metrics', 'pipelines', 'train'],
  ['diffusion', 'guidance', 'losses', 'samplers'],
  ['text', 'perceptual', 'conditioning', 'autoencoder', 'unet'],
  ['nn', 'optim'],
  ['runtime'],
  ['compiler'],
  ['tensor', 'autodiff'],
  ['platform', 'schema', 'random', 'image', 'weights', 'data', 'hub'],
]
/** Where `node:`, the DOM and the runtime's packages may be named; every other file runs in Node and in browsers. */
const HOSTS = ['cli', 'server', 'platform']
const HOST_PACKAGES = /^(node:|onnxruntime-(node|web)|sharp|playwright-core)/
const HOST_GLOBALS =
  /(?<![\w.$'"`])(document|window|navigator|localStorage|indexedDB|OffscreenCanvas|createImageBitmap|Worker|process|Buffer|__dirname|require)(?=\s*[.(]|\s*\[)/g

const manifest = JSON.parse(readFileSync('package.json', 'utf8'))
const shipped = { ...manifest.dependencies, ...manifest.peerDependencies }
const installed = { ...shipped, ...manifest.devDependencies }

const folderOf = file => relative('src', file).split('/')[0]
const place = folder => {
  const row = FLOORS.findIndex(names => names.includes(folder))
  return { row, column: row < 0 ? -1 : FLOORS[row].indexOf(folder) }
}
const isTest = file => /\.test\.ts$/.test(file) || folderOf(file) === 'testing'
const packageName = specifier => specifier.match(/^(@[^/]+\/)?[^/]+/)[0]

/** Each import of a file: its specifier and its line. Comment lines (examples in docstrings) are not imports. */
function importsOf(source) {
  const found = []
  const statement = /^[ \t]*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|^[ \t]*import\s*['"]([^'"]+)['"]/gm
  const dynamic = /^(?![ \t]*(?:\*|\/\/|\/\*)).*?\bimport\(\s*['"]([^'"]+)['"]/gm
  for (const pattern of [statement, dynamic])
    for (const match of source.matchAll(pattern)) {
      const specifier = match[1] ?? match[2]
      const line = source.slice(0, match.index + match[0].length).split('\n').length
      found.push({ specifier, line })
    }
  return found
}

/** Why `file` may not import `specifier`, or undefined. */
function forbidden(file, specifier) {
  const test = isTest(file)
  const folder = folderOf(file)
  if (specifier === '#platform') return orderProblem(folder, 'platform', test)
  if (specifier.startsWith('.')) {
    const target = join(dirname(file), specifier)
    const source = target.replace(/\.js$/, '.ts')
    if (!specifier.endsWith('.js')) return 'a relative import names its file with .js'
    if (!existsSync(source)) return `there is no ${source}`
    if (relative('src', source).startsWith('..')) return 'it lies outside src/'
    if (!test && isTest(source)) return 'only tests import tests and src/testing/'
    return orderProblem(folder, folderOf(source), test)
  }
  if (!specifier.startsWith('node:') && !(packageName(specifier) in (test ? installed : shipped)))
    return `package.json does not list it among its ${test ? 'packages' : 'dependencies or peers'}`
  if (!test && HOST_PACKAGES.test(specifier) && !HOSTS.includes(folder))
    return `only ${HOSTS.join('/, ')}/ may; ask #platform for what it gives`
  return undefined
}

function orderProblem(from, to, test) {
  if (test || from === to) return undefined
  const [a, b] = [place(from), place(to)]
  if (b.row < 0) return `src/${to} has no floor: give it one in tools/floors.js and ARCHITECTURE.md`
  if (b.row > a.row || (b.row === a.row && b.column < a.column)) return undefined
  return b.row === a.row ? `${to}/ stands to the right of ${from}/ in one row` : `${to}/ is a floor above ${from}/`
}

/** Names of Node or the DOM that a file uses without having declared them itself. */
function hostGlobals(source) {
  const found = []
  for (const [index, line] of source.split('\n').entries()) {
    if (/^\s*(\*|\/\/|\/\*)/.test(line)) continue
    for (const [, name] of line.replace(/\/\/.*|'[^']*'|"[^"]*"/g, '').matchAll(HOST_GLOBALS)) {
      const declared = new RegExp(
        `(const|let|function|class|import)\\b[^=;\n(]*\\b${name}\\b|[(,{]\\s*${name}\\s*[:,})]`,
      )
      if (!declared.test(source)) found.push({ name, line: index + 1 })
    }
  }
  return found
}

const problems = []
const files = filesUnder('src', '.ts')
for (const file of files) {
  const source = readFileSync(file, 'utf8')
  const folder = folderOf(file)
  if (place(folder).row < 0 && folder !== 'testing')
    problems.push(`${file}:1 lies in src/${folder}, which has no floor: give it one here and in ARCHITECTURE.md`)
  for (const { specifier, line } of importsOf(source)) {
    const why = forbidden(file, specifier)
    if (why !== undefined) problems.push(`${file}:${line} imports '${specifier}': ${why}`)
  }
  if (isTest(file) || HOSTS.includes(folder)) continue
  for (const { name, line } of hostGlobals(source))
    problems.push(`${file}:${line} uses ${name}: only ${HOSTS.join('/, ')}/ may touch Node or the DOM`)
}
for (const problem of problems) console.error(problem)
console.log(`floors: ${files.length} files, ${problems.length} problems`)
process.exitCode = problems.length > 0 ? 1 : 0
