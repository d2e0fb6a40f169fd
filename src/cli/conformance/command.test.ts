import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { runConformance } from './command.js'

const copies = fileURLToPath(new URL('../../../fixtures/conformance', import.meta.url))

async function run(folder: string, flags: { json?: boolean; filter?: string } = {}) {
  let text = ''
  const out = (piece: string) => {
    text += piece
  }
  const io = { out, err: out, terminal: false, clock: () => 0, signal: new AbortController().signal }
  const status = await runConformance({ folder, device: 'cpu', json: false, ...flags }, io)
  return { status, lines: text.trimEnd().split('\n') }
}

test('a line a case, then the totals; status 0 where none differs', async () => {
  const { status, lines } = await run(copies, { filter: 'rng/' })
  assert.equal(status, 0)
  assert.equal(lines.length, 4)
  assert.match(lines[0]!, /^equal +rng\/mt19937_words .*\(4 of 4 compared\)$/)
  assert.equal(lines[3], '3 cases: 3 equal, 0 differ, 0 not built yet')
})

test('--json prints one object a case with exactly the documented fields', async () => {
  const { lines } = await run(copies, { filter: 'rng/', json: true })
  assert.equal(lines.length, 3)
  for (const line of lines) {
    const parsed = JSON.parse(line)
    assert.deepEqual(Object.keys(parsed), ['case', 'status', 'ratio', 'where', 'compared', 'total'])
    assert.equal(parsed.status, 'equal')
    assert.equal(parsed.compared, parsed.total)
  }
})

test('status 1 where a case differs, and an empty folder is refused', async t => {
  const folder = await temporaryFolder(t)
  await assert.rejects(run(folder), /holds no reference case/)
  await mkdir(join(folder, 'words'))
  await writeFile(join(folder, 'words', 'words.json'), JSON.stringify([{ seed: 1, words: [1, 2] }]))
  await writeFile(
    join(folder, 'words', 'case.json'),
    JSON.stringify({
      kind: 'rng',
      source: [{ object: 'numpy.random.RandomState' }],
      config: { seeds: [1], count: 2 },
      files: { 'words.json': { role: 'expected' } },
      tolerance: { rule: 'exact' },
    }),
  )
  const { status, lines } = await run(folder)
  assert.equal(status, 1)
  assert.match(lines[0]!, /^differs +words +words\.json:0 0\.words\.0 is 1791095845, expected 1/)
})
