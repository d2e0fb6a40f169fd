import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { encodeHeader } from '../../weights/safetensors-header.js'

test('weights of 8 bits are never in memory twice, nor all of them wide', async t => {
  const path = join(await temporaryFolder(t), 'layers.safetensors')
  const [layers, width] = [40, 1536]
  const [size, numbers] = [2 * width * width, layers * width * width]
  const entries = Array.from({ length: layers }, (_, i) => {
    return [`${i}`, { dtype: 'F16', shape: [width, width], offsets: [i * size, (i + 1) * size] }] as const
  })
  const header = encodeHeader(entries, new Map())
  const file = await open(path, 'w')
  await file.write(header)
  // All zeros: a file with holes.
  await file.truncate(header.length + layers * size)
  await file.close()
  const from = (module: string) => `await import(${JSON.stringify(new URL(module, import.meta.url).href)})`
  const script = `
    const { openSource } = ${from('../../platform/node/index.js')}
    const { hostTensor, openDevice } = ${from('../index.js')}
    const { matmul } = ${from('../../tensor/matmul.js')}
    const { trace } = ${from('../../tensor/program.js')}
    const { f32 } = ${from('../../tensor/tensor.js')}
    const { openSafetensors } = ${from('../../weights/safetensors.js')}
    const zeros = { kind: 'constant', value: 0 }
    const layers = Array.from({ length: ${layers} }, (_, i) => String(i))
    const program = trace({ x: f32(1, ${width}) }, (at, { x }) =>
      layers.reduce((h, name) => matmul(h, at.parameter(name, [${width}, ${width}], zeros)), x))
    const weights = await openSafetensors(await openSource(${JSON.stringify(path)}))
    const device = await openDevice('cpu', { threads: 1 })
    const before = process.resourceUsage().maxRSS
    const run = await device.compile(program, { weights, precision: 'int8' })
    await run({ x: hostTensor(new Float32Array(${width}), [1, ${width}]) })
    console.log(process.resourceUsage().maxRSS - before)
    await device.dispose()`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  const perNumber = (Number(stdout) * 1024) / numbers
  assert.ok(perNumber < 2.7, `${perNumber} bytes for each of ${numbers} numbers of 8 bits`)
})
