import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from '../testing/temporary-folder.js'

const examples = fileURLToPath(new URL('../../examples', import.meta.url))

function node(argv: readonly string[], cwd: string): Promise<{ status: number; out: string }> {
  return new Promise(resolve => {
    execFile(process.execPath, argv, { cwd }, (error, out, err) =>
      resolve({ status: error ? Number(error.code) : 0, out: out + err }),
    )
  })
}

test('the examples call what there is, as it wants to be called', async () => {
  const compiler = createRequire(import.meta.url)
    .resolve('typescript/package.json')
    .replace('package.json', 'bin/tsc')
  assert.deepEqual(await node([compiler, '-p', examples], examples), { status: 0, out: '' })
})

test('an example makes its picture with the model that comes along', async t => {
  const folder = await temporaryFolder(t)
  assert.deepEqual(await node([join(examples, 'outpaint.js')], folder), { status: 0, out: '' })
  assert.deepEqual(await readdir(folder), ['wider.png'])
})
