import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from '../testing/temporary-folder.js'
import { tinyCheckpoint } from '../testing/tiny-model.js'

const program = fileURLToPath(new URL('./main.js', import.meta.url))

test('convert goes by the name of the file, and says what a format cannot hold', async t => {
  const folder = await temporaryFolder(t)
  const convert = (...argv: string[]) =>
    new Promise<{ status: number; out: string; err: string }>(resolve => {
      const args = [program, 'convert', '--model', 'tiny.safetensors', ...argv]
      execFile(process.execPath, args, { cwd: folder }, (error, out, err) =>
        resolve({ status: error ? Number(error.code) : 0, out, err }),
      )
    })
  try {
    await writeFile(join(folder, 'tiny.safetensors'), tinyCheckpoint())
    const [gguf, quantised, own] = await Promise.all([
      convert('tiny.gguf', '--json'),
      convert('tiny.safetensors', '--dtype', 'q4_0'),
      convert('half.safetensors', '--format', 'latentkit', '--dtype', 'f16'),
    ])
    assert.deepEqual(JSON.parse(gguf.out), { ok: true, command: 'convert', data: { path: 'tiny.gguf', unplaced: [] } })
    assert.equal(quantised.status, 1)
    assert.match(quantised.err, /q4_0 are written as GGUF alone; wanted here is f32, f16 or bf16/)
    assert.equal(own.out, 'half.safetensors\n', own.err)
    const size = async (file: string) => (await stat(join(folder, file))).size
    assert.ok((await size('half.safetensors')) < 0.6 * (await size('tiny.safetensors')))
    assert.ok((await size('tiny.gguf')) > 0.9 * (await size('tiny.safetensors')))
  } finally {
  }
})
