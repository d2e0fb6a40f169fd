// Runs the built tests: node tools/test.js [part of a file name ...] [--only PATTERN] [--no-skip]
// With --no-skip a skipped test is a failed one, for machines that have all that the tests need.
// The last line is `N passed, N failed` (and `, N skipped`), which scripts may read.
import { existsSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { run } from 'node:test'
import { parseArgs } from 'node:util'
import { filesUnder } from './files.js'

const options = { only: { type: 'string' }, 'no-skip': { type: 'boolean' } }
const { values, positionals } = parseArgs({ options, allowPositionals: true })
const wanted = file => positionals.length === 0 || positionals.some(part => file.includes(part))
// What was built from a source file that is gone now is not a test any more.
const current = file => existsSync(file.replace(/^dist/, 'src').replace(/\.js$/, '.ts'))
const files = [
  ...filesUnder('dist', '.test.js').filter(current),
  ...['tools', 'bench'].flatMap(folder => filesUnder(folder, '.test.js')),
]
  .filter(wanted)
  .map(file => resolve(file))

const counts = { passed: 0, failed: 0, skipped: 0 }
const skips = []
const failures = []
const output = new Map()
let open = { file: undefined, passed: 0, failed: 0, skipped: 0 }

const short = file => (file ? relative(process.cwd(), file) : '(unknown file)')

function closeFile() {
  if (open.file === undefined || open.passed + open.failed + open.skipped === 0) return
  const skipped = open.skipped ? `, ${open.skipped} skipped` : ''
  const mark = open.failed ? `FAIL (${open.failed})` : 'ok'
  console.log(`${mark} ${short(open.file)}: ${open.passed} passed${skipped}`)
}

function count(kind, file) {
  if (open.file !== file) {
    closeFile()
    open = { file, passed: 0, failed: 0, skipped: 0 }
  }
  counts[kind]++
  open[kind]++
}

/** A file that holds no test is reported by node:test as one passed test with the file's own name. */
const isFileItself = event => event.nesting === 0 && event.file !== undefined && event.name.endsWith(short(event.file))

/** With --only, node:test reports every other test as skipped by its name. */
const unselected = event => /does not match pattern/.test(String(event.skip))

function passed(event) {
  if (unselected(event) || (event.details.type === 'suite' && event.skip === undefined)) return
  if (event.skip !== undefined || event.todo !== undefined) {
    const reason = [event.skip, event.todo].find(text => typeof text === 'string' && text !== '') ?? 'no reason given'
    if (values['no-skip']) return failed(event, new Error(`Skipped, which --no-skip forbids: ${reason}`))
    count('skipped', event.file)
    skips.push(`${short(event.file)}: ${event.name}: ${reason}`)
  } else if (isFileItself(event)) {
    if (values.only === undefined) failed(event, new Error('The file holds no test.'))
  } else count('passed', event.file)
}

function failed(event, error = event.details.error) {
  // A parent that failed only because a test inside it did is that test's failure, counted there.
  if (error.failureType === 'subtestsFailed') return
  count('failed', event.file)
  failures.push({ event, error: error.cause ?? error })
}

if (files.length > 0) {
  const only = values.only === undefined ? {} : { testNamePatterns: [values.only] }
  const stream = run({ files, concurrency: 2, timeout: 1_200_000, ...only })
  const keep = ({ file, message }) => output.set(file, [...(output.get(file) ?? []), message])
  stream
    .on('test:stdout', keep)
    .on('test:stderr', keep)
    .on('test:pass', passed)
    .on('test:fail', event => failed(event))
  for await (const _ of stream);
  closeFile()
}

for (const file of new Set(failures.map(({ event }) => event.file))) {
  const text = output.get(file)?.join('').trim()
  if (text) console.log(`\n--- what ${short(file)} printed\n${text.slice(-4000)}`)
}
for (const { event, error } of failures) {
  console.log(`\n--- FAILED ${short(event.file)}: ${event.name}`)
  const text = typeof error === 'string' ? error : (error.stack ?? String(error))
  console.log(
    text
      .split('\n')
      .filter(line => !line.includes('node:internal'))
      .join('\n'),
  )
}
if (skips.length > 0) console.log(`\nSkipped:\n${skips.map(line => `  ${line}`).join('\n')}`)
const none = counts.passed + counts.failed + counts.skipped === 0
if (none)
  console.log(
    files.length
      ? '\nNo test ran.'
      : '\nNo test file found: build first (npm run build), or check the file name given.',
  )
const skipped = counts.skipped ? `, ${counts.skipped} skipped` : ''
console.log(`\n${counts.passed} passed, ${counts.failed} failed${skipped}`)
process.exitCode = counts.failed > 0 || none ? 1 : 0
