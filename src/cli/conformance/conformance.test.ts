import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { type CaseResult, type ConformanceOptions, conformance } from './conformance.js'
import { type FileAnswer, type Kind, NotBuilt } from './kind.js'

const copies = fileURLToPath(new URL('../../../fixtures/conformance', import.meta.url))

const folder = await temporaryFolder()

test('every case that comes along is equal', async () => {
  const failed = (await all(copies)).filter(({ status }) => status !== 'equal')
  assert.deepEqual(failed, [])
})

async function all(path: string, options: ConformanceOptions = {}): Promise<CaseResult[]> {
  const results: CaseResult[] = []
  for await (const result of conformance(path, options)) results.push(result)
  return results
}

/** Writes one case with a JSON file of expected numbers and judges an answer to it. */
async function judge(files: Record<string, FileAnswer>, { extra = false, read = false } = {}): Promise<CaseResult> {
  const place = join(folder, 'sums', 'some-name')
  await mkdir(place, { recursive: true })
  await writeFile(join(place, 'values.json'), JSON.stringify({ a: [1, { nonfinite: 'nan' }], b: 2 }))
  await writeFile(join(place, 'layout.json'), '{}')
  await writeFile(
    join(place, 'case.json'),
    JSON.stringify({
      kind: 'sums',
      files: { 'values.json': { role: 'expected' }, ...(extra && { 'layout.json': { role: 'extra' } }) },
      tolerance: { rule: 'for every tensor ...', default_atol: 0.1 },
    }),
  )
  const kind: Kind = {
    kind: 'sums',
    async run(testCase) {
      if (read) await testCase.json('layout.json')
      return { files }
    },
  }
  return (await all(folder, { kinds: [kind] }))[0]!
}

test('equal within the tolerance, with the largest ratio and its place', async () => {
  const { status, ratio, where, compared, total } = await judge({ 'values.json': { a: [1.05, Number.NaN], b: 2 } })
  assert.deepEqual(
    { status, where, compared, total },
    { status: 'equal', where: 'values.json:a', compared: 2, total: 2 },
  )
  assert.ok(Math.abs(ratio! - 0.5) < 1e-9)
})

test('differs: the tensor and by how much', async () => {
  const result = await judge({ 'values.json': { a: [1, Number.NaN], b: 2.5 } })
  assert.equal(result.status, 'differs')
  assert.equal(result.where, 'values.json:b')
  assert.ok(Math.abs(result.ratio! - 5) < 1e-9)
})

test('differs: another structure, an entry that nobody asked for', async () => {
  assert.equal((await judge({ 'values.json': { a: [1], b: 2 } })).status, 'differs')
  assert.equal((await judge({ 'values.json': { a: [1, Number.NaN], b: 2, c: 3 } })).where, 'values.json:c')
})

test('not built: an entry left out, a layout not loaded, a kind nobody knows, a part that says so', async () => {
  const whole = { 'values.json': { a: [1, Number.NaN], b: 2 } }
  const partial = await judge({ 'values.json': { b: 2 } })
  assert.deepEqual([partial.status, partial.compared, partial.total], ['not-built', 1, 2])
  assert.equal((await judge(whole, { extra: true })).status, 'not-built')
  assert.equal((await judge(whole, { extra: true, read: true })).status, 'equal')
  assert.equal((await all(folder, { kinds: [] }))[0]!.status, 'not-built')
  const run = () => Promise.reject(new NotBuilt('the sum of sums'))
  assert.equal((await all(folder, { kinds: [{ kind: 'sums', run }] }))[0]!.where, 'the sum of sums')
})

test('differs: an error while computing, a case.json that is none, a file outside of the folder', async () => {
  const run = () => Promise.reject(new RangeError('beyond the table'))
  const [result] = await all(folder, { kinds: [{ kind: 'sums', run }] })
  assert.deepEqual([result!.status, result!.where], ['differs', 'RangeError: beyond the table'])
  const files = { '../../../etc/passwd': { role: 'expected' } }
  for (const text of ['[', '{}', JSON.stringify({ kind: 'sums', files, tolerance: { rule: 'exact' } })]) {
    await writeFile(join(folder, 'sums', 'some-name', 'case.json'), text)
    assert.equal((await all(folder, { kinds: [{ kind: 'sums', run }] }))[0]!.status, 'differs')
  }
})
