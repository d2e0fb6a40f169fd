import assert from 'node:assert/strict'
import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from '../../../testing/temporary-folder.js'
import { type CaseResult, conformance } from '../conformance.js'

const good = fileURLToPath(new URL('../../../../fixtures/conformance/formats/torch_good', import.meta.url))
const folder = await temporaryFolder()
before(async () => {
  await cp(good, folder, { recursive: true })
})

/** The verdict on a case of the reference's files with these roles. */
async function judge(files: Record<string, object>): Promise<CaseResult> {
  const about = { kind: 'formats', files, tolerance: { rule: 'bit-exact' } }
  await writeFile(join(folder, 'case.json'), JSON.stringify(about))
  for await (const result of conformance(folder)) return result
  throw new Error('there is no case')
}

test('a file that must be refused and is loaded differs, by name', async () => {
  const { status, where, compared, total } = await judge({ 'zip_plain.pt': { role: 'input', must: 'be refused' } })
  assert.deepEqual(
    { status, where, compared, total },
    { status: 'differs', where: 'zip_plain.pt', compared: 1, total: 1 },
  )
  assert.equal((await judge({ 'zip_plain.pt': { role: 'input', must: 'be refused, or load' } })).status, 'equal')
})

test('other values and other types differ', async () => {
  const against = (expected: string) =>
    judge({ 'zip_plain.pt': { role: 'input', expected }, [expected]: { role: 'expected' } })
  assert.equal((await against('zip_plain.expected.safetensors')).status, 'equal')
  assert.equal((await against('zip_parameters.expected.safetensors')).status, 'differs')
  const types = await judge({
    'zip_dtypes.pt': { role: 'input', expected: 'nested.expected.safetensors', path: ['t_int64'] },
    'nested.expected.safetensors': { role: 'expected' },
  })
  assert.notEqual(types.status, 'equal')
})
