// Mutated files of every format that latentkit reads: each is refused with its name and the reason, or read as its bytes say.
//   npm run build && node bench/fuzz/main.js [--count 100000] [--first 1] [--python PYTHON] [--show SEED]
// Every file is made from a seed, in a process of its own kind that may die of it. Prints a table, and every problem with its
// seed; --show writes the file of one seed. With --python, PyTorch (weights_only) must read the same from every torch file.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { fuzz } from './fuzz.js'

const text = { type: 'string' }
const {
  count = '100000',
  first = '1',
  python,
  show,
} = parseArgs({ options: { count: text, first: text, python: text, show: text } }).values

if (show !== undefined) {
  const { fileOf } = await import('./trial.js')
  const { name, bytes, kinds } = fileOf(Number(show))
  writeFileSync(`mutated-${show}`, bytes)
  console.log(`mutated-${show}: ${name}, ${kinds.join(', ')}, ${bytes.length} bytes`)
} else process.exitCode = (await run()) ? 0 : 1

async function run() {
  const started = performance.now()
  const rows = new Map()
  const problems = []
  const folder = mkdtempSync(join(tmpdir(), 'latentkit-fuzz-peer-'))
  const forPeer = []
  await fuzz({
    count: Number(count),
    first: Number(first),
    note(outcome) {
      const { name, seed, accepted, offset, seconds, megabytes, problem, read } = outcome
      if (!rows.has(name))
        rows.set(name, { files: 0, read: 0, refused: 0, 'with offset': 0, 'most ms': 0, 'most MB': 0 })
      const row = rows.get(name)
      row.files++
      row[accepted ? 'read' : 'refused']++
      if (offset) row['with offset']++
      row['most ms'] = Math.max(row['most ms'], Math.round(seconds * 1000))
      row['most MB'] = Math.max(row['most MB'], Math.round(megabytes))
      if (problem) problems.push(`seed ${seed} (${name}; ${outcome.kinds.join(', ')}) ${problem}`)
      if (read && python) forPeer.push({ seed, read })
    },
  })
  const peer = python ? await askPeer(folder, forPeer) : { different: [], refused: [] }
  problems.push(...peer.different)
  rmSync(folder, { recursive: true })
  console.table(Object.fromEntries([...rows].sort()))
  for (const problem of problems.slice(0, 100)) console.log(problem)
  for (const line of peer.refused) console.log(line)
  console.log(`${count} files, ${problems.length} problems, ${Math.round((performance.now() - started) / 1000)} s`)
  return problems.length === 0
}

/** What PyTorch reads otherwise from the files that latentkit took. */
async function askPeer(folder, files) {
  const { fileOf } = await import('./trial.js')
  mkdirSync(folder, { recursive: true })
  for (const { seed } of files) writeFileSync(join(folder, String(seed)), fileOf(seed).bytes)
  writeFileSync(
    join(folder, 'read.json'),
    JSON.stringify(Object.fromEntries(files.map(({ seed, read }) => [seed, read]))),
  )
  const script = fileURLToPath(new URL('./peer.py', import.meta.url))
  const { stdout, status } = spawnSync(python, [script, folder], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (status !== 0) throw new Error(`${python} ends with status ${status}`)
  const lines = stdout.split('\n').filter(line => line !== '')
  // PyTorch asks for more than tensors need, such as a version; what it refuses is told, and is no problem by itself.
  const refused = lines.filter(line => line.includes('refused by torch'))
  return { different: lines.filter(line => !refused.includes(line)), refused }
}
