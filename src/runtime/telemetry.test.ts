import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

test('the runtime reports nothing to its maker: it leaves no identifier and no queue of events', () => {
  const home = mkdtempSync(join(tmpdir(), 'latentkit-home-'))
  const program = `
    const { openDevice } = await import(${JSON.stringify(new URL('./index.js', import.meta.url).href)})
    const { exp, trace } = await import(${JSON.stringify(new URL('../tensor/index.js', import.meta.url).href)})
    const device = await openDevice('cpu')
    const run = await device.compile(trace({ x: { shape: [1], dtype: 'f32' } }, (at, { x }) => exp(x)))
    await run.dispose()
    await device.dispose()`
  // It keeps silent under CI and in test runners anyway, so neither may be seen.
  const { PATH } = process.env
  try {
    execFileSync(process.execPath, ['--input-type=module', '-e', program], {
      env: { PATH, HOME: home, TMPDIR: home },
    })
    assert.deepEqual(
      readdirSync(home, { recursive: true }).filter(name => /onnxruntime|deviceid|mat-debug/i.test(String(name))),
      [],
    )
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})
